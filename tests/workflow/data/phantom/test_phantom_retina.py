"""Phantom RETOUCH: layout, quirks, determinism, anatomy and prevalence."""

import hashlib
import re

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from workflow.data.phantom import write_retouch
from workflow.data.phantom.retina import VENDORS, grow_volume
from workflow.data.phantom.retina_anatomy import SURFACES

SCALE = 0.125
IRF, SRF, PED = 1, 2, 3
# Of the real training sets: the first case of each vendor, and the shares of its B-scans that hold
# IRF, SRF, PED and any of them.
FIRST = {"Cirrus": 1, "Spectralis": 25, "Topcon": 49}
SHARES = {
    "Cirrus": (934 / 3072, 700 / 3072, 622 / 3072, 1568 / 3072),
    "Spectralis": (503 / 1176, 339 / 1176, 302 / 1176, 711 / 1176),
    "Topcon": (690 / 2688, 388 / 2688, 514 / 2688, 1106 / 2688),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retouch")
    for vendor in VENDORS:
        write_retouch(folder, vendor=vendor, volumes=4, scale=SCALE, seed=11)
    return folder


@pytest.fixture(scope="module")
def grown():
    return {
        vendor: [grow_volume(vendor, index, scale=SCALE, seed=11) for index in range(6)]
        for vendor in VENDORS
    }


def read(folder):
    return [sitk.ReadImage(str(folder / f"{name}.mhd")) for name in ("oct", "reference")]


def folders(root, vendor):
    return sorted((root / f"RETOUCH-TrainingSet-{vendor}").iterdir())


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_folders_and_files_are_those_of_the_challenge(root, vendor):
    names = [f"TRAIN{FIRST[vendor] + index:03d}" for index in range(4)]
    assert [folder.name for folder in folders(root, vendor)] == names
    for folder in folders(root, vendor):
        files = sorted(path.name for path in folder.iterdir())
        assert files == ["oct.mhd", "oct.raw", "reference.mhd", "reference.raw"]


@pytest.mark.parametrize(
    ("vendor", "sizes", "pixel", "spacings"),
    [
        ("Cirrus", [(64, 128, 128)] * 4, sitk.sitkUInt8, (0.011742, 0.001955, 0.0469, 0.0472)),
        ("Spectralis", [(64, 62, 49)] * 4, sitk.sitkUInt16, (0.0115, 0.003872, 0.116, 0.129)),
    ],
)
def test_geometry_of_cirrus_and_spectralis(root, vendor, sizes, pixel, spacings):
    for folder, size in zip(folders(root, vendor), sizes, strict=True):
        scan, reference = read(folder)
        assert scan.GetSize() == reference.GetSize() == size
        assert scan.GetPixelID() == pixel
        assert reference.GetPixelID() == sitk.sitkUInt8
        x, y, z = scan.GetSpacing()
        assert reference.GetSpacing() == (x, y, z)
        assert x * SCALE == pytest.approx(spacings[0], rel=0.06)
        assert y * SCALE == pytest.approx(spacings[1], rel=1e-4)
        assert spacings[2] <= z <= spacings[3]


def test_topcon_has_both_heights_and_a_volume_of_64_scans(root):
    seen = []
    for folder in folders(root, "Topcon"):
        scan, _ = read(folder)
        assert scan.GetPixelID() == sitk.sitkUInt8
        x, y, z = scan.GetSpacing()
        assert (x * SCALE, z) == pytest.approx((0.01172, 0.04688), rel=1e-4)
        seen.append((*scan.GetSize(), round(y * SCALE, 5)))
    rows_of = {0.0035: round(650 * SCALE), 0.0026: round(885 * SCALE)}
    assert {size[1] for size in seen} == set(rows_of.values())
    assert all(height == rows_of[y] for _, height, _, y in seen)
    assert (64, round(885 * SCALE), 64, 0.0026) in seen
    assert {scans for _, _, scans, _ in seen} == {64, 128}


def test_headers_say_what_a_metaimage_reader_needs(root):
    header = (folders(root, "Spectralis")[0] / "oct.mhd").read_text()
    entries = dict(line.split(" = ") for line in header.splitlines())
    assert entries["ObjectType"] == "Image"
    assert entries["NDims"] == "3"
    assert entries["BinaryDataByteOrderMSB"] == "False"
    assert entries["DimSize"] == "64 62 49"
    assert entries["ElementType"] == "MET_USHORT"
    # Readers stop at this key, so it must be the last.
    assert list(entries.items())[-1] == ("ElementDataFile", "oct.raw")


@pytest.mark.parametrize("vendor", VENDORS)
def test_fluids_per_volume(root, vendor):
    held = []
    for folder in folders(root, vendor):
        reference = sitk.GetArrayFromImage(read(folder)[1])
        assert set(np.unique(reference)) <= {0, IRF, SRF, PED}
        held.append({label for label in (IRF, SRF, PED) if (reference == label).any()})
    assert any(SRF not in labels for labels in held)
    for label in (IRF, SRF, PED):
        assert sum(label in labels for labels in held) >= 2


@pytest.mark.parametrize("vendor", VENDORS)
def test_any_number_of_volumes_from_four_keeps_the_promises(vendor):
    # The smallest scale, where fluid is most easily lost between voxels.
    held = []
    for index in range(24):
        reference = grow_volume(vendor, index, scale=0.1, seed=5).reference
        held.append([(reference == label).any() for label in (IRF, SRF, PED)])
    for volumes in range(4, 25):
        count = np.sum(held[:volumes], axis=0)
        assert (count >= volumes / 2).all()
        assert count[1] < volumes


def test_two_writes_are_equal_and_volumes_do_not_depend_on_their_number(root, tmp_path):
    write_retouch(tmp_path, vendor="Spectralis", volumes=2, scale=SCALE, seed=11)
    again = digests(tmp_path)
    assert len(again) == 8
    first = digests(root)
    assert again == {name: first[name] for name in again}


def test_seed_vendor_and_index_each_change_the_volume(grown):
    volume = grown["Cirrus"][0].oct
    assert not np.array_equal(volume, grow_volume("Cirrus", 0, scale=SCALE, seed=12).oct)
    assert not np.array_equal(volume, grown["Cirrus"][1].oct)
    spectralis = grown["Spectralis"][0].anatomy.surfaces["ilm"]
    assert spectralis.shape[0] == 49
    assert not np.allclose(spectralis, grown["Cirrus"][0].anatomy.surfaces["ilm"][:49])


@pytest.mark.parametrize("vendor", VENDORS)
def test_surfaces_keep_their_order_and_stay_in_the_picture(grown, vendor):
    for volume in grown[vendor]:
        depths = np.stack([volume.anatomy.surfaces[name] for name in SURFACES])
        assert (np.diff(depths, axis=0) >= -1e-3).all()
        assert depths.min() > 0
        assert depths.max() < volume.oct.shape[1]


def span(mask):
    """First and last row of `mask` [slices, rows, columns] in the A-scans that have any."""
    hit = mask.any(axis=1)
    first = mask.argmax(axis=1)
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return hit, first, last


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_fluid_lies_in_its_layer(grown, vendor):
    for volume in grown[vendor]:
        depth = volume.anatomy.surfaces
        hit, first, last = span(volume.reference == SRF)
        # The next row below the lowest voxel of SRF has its centre in the RPE, not in a gap.
        assert (last[hit] + 1.5 >= depth["rpe_top"][hit]).all()
        assert (last[hit] + 0.5 < depth["rpe_top"][hit]).all()
        assert (first[hit] + 0.5 >= depth["tips"][hit]).all()
        hit, first, last = span(volume.reference == PED)
        assert (first[hit] + 0.5 >= depth["rpe_bottom"][hit]).all()
        assert (first[hit] - 0.5 < depth["rpe_bottom"][hit]).all()
        assert (last[hit] + 0.5 < depth["bruch_top"][hit]).all()
        hit, first, last = span(volume.reference == IRF)
        assert (first[hit] + 0.5 > depth["inl_top"][hit]).all()
        assert (last[hit] + 0.5 < depth["ez_top"][hit]).all()


def test_labels_fill_the_gaps_between_surfaces_completely(grown):
    for volume in grown["Spectralis"]:
        depth = volume.anatomy.surfaces
        for label, top, bottom in ((SRF, "tips", "rpe_top"), (PED, "rpe_bottom", "bruch_top")):
            # Voxel centres r + 0.5 with top <= r + 0.5 < bottom, counted without making them.
            wanted = np.ceil(depth[bottom] - 0.5) - np.ceil(depth[top] - 0.5)
            np.testing.assert_array_equal((volume.reference == label).sum(axis=1), wanted)


@pytest.mark.parametrize("vendor", VENDORS)
def test_fluid_is_dark_where_it_should_be(grown, vendor):
    volume = grown[vendor][0]
    shown = volume.oct / np.iinfo(volume.oct.dtype).max
    vitreous = shown[:, :4].mean()
    for label in (IRF, SRF, PED):
        inside = volume.reference == label
        around = ndimage.binary_dilation(inside, iterations=2) & (volume.reference == 0)
        assert shown[inside].mean() < shown[around].mean() - 0.1
    # Clear fluid is almost as dark as the vitreous; what lifts the RPE is grey.
    assert shown[volume.reference == SRF].mean() < vitreous + 0.12
    assert shown[volume.reference == PED].mean() > shown[volume.reference == SRF].mean() + 0.05


@pytest.mark.parametrize("vendor", VENDORS)
def test_layers_have_the_reflectivity_of_a_retina(grown, vendor):
    volume = grown[vendor][1]
    shown = volume.oct / np.iinfo(volume.oct.dtype).max
    row = np.arange(shown.shape[1])[:, None] + 0.5
    depth = {name: surface[:, None, :] for name, surface in volume.anatomy.surfaces.items()}
    plain = (volume.reference == 0).all(axis=1, keepdims=True) & (volume.anatomy.vessels < 0.1)[
        :, None
    ]

    def mean(top, bottom):
        return shown[(row - 0.5 >= depth[top]) & (row + 0.5 <= depth[bottom]) & plain].mean()

    nuclear, plexiform = mean("onl_top", "elm_top"), mean("ipl_top", "inl_top")
    epithelium, vitreous = mean("rpe_top", "rpe_bottom"), shown[:, :4].mean()
    assert vitreous < nuclear < plexiform < epithelium


@pytest.mark.parametrize("vendor", VENDORS)
def test_fovea_is_a_pit_in_an_eye_without_cysts(vendor):
    # Volume 3 has no IRF; the retina at its thinnest is far thinner than 1 mm around.
    anatomy = grow_volume(vendor, 3, scale=SCALE, seed=11).anatomy
    inner = (anatomy.surfaces["onl_top"] - anatomy.surfaces["ilm"]) * anatomy.grid.row_um
    z, x = anatomy.grid.plane
    near = np.hypot(z, x) < 0.6
    assert inner[near].min() < 0.5 * np.median(inner[~near])


@pytest.mark.parametrize("vendor", VENDORS)
def test_prevalence_is_near_the_real_one(grown, vendor):
    references = [volume.reference for volume in grown[vendor]]
    positive = np.concatenate(
        [
            np.stack(
                [(r == label).any(axis=(1, 2)) for label in (IRF, SRF, PED)] + [r.any(axis=(1, 2))]
            )
            for r in references
        ],
        axis=1,
    )
    np.testing.assert_allclose(positive.mean(axis=1), SHARES[vendor], atol=0.12)
    for label in (IRF, SRF, PED):
        pixels = sum(int((r == label).sum()) for r in references)
        scans = sum(int((r == label).any(axis=(1, 2)).sum()) * r[0].size for r in references)
        assert 0.008 < pixels / scans < 0.05


@pytest.mark.parametrize("vendor", VENDORS)
def test_detachments_are_solid_in_three_dimensions(grown, vendor):
    for volume in grown[vendor]:
        for label in (SRF, PED):
            inside = volume.reference == label
            if not inside.any():
                continue
            pieces, count = ndimage.label(inside)
            sizes = np.bincount(pieces.ravel())[1:]
            assert sizes.max() > 0.7 * sizes.sum(), count
            scans = np.flatnonzero((pieces == 1 + sizes.argmax()).any(axis=(1, 2)))
            assert len(scans) >= 5
            assert (np.diff(scans) == 1).all()


def test_the_same_eye_is_seen_at_every_scale():
    coarse = grow_volume("Spectralis", 2, scale=0.25, seed=3)
    fine = grow_volume("Spectralis", 2, scale=0.5, seed=3)
    for name in ("ilm", "tips", "bruch_top"):
        small = coarse.anatomy.surfaces[name] / coarse.oct.shape[1]
        large = fine.anatomy.surfaces[name] / fine.oct.shape[1]
        assert np.abs(small - (large[:, ::2] + large[:, 1::2]) / 2).max() < 0.012


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vendor": "cirrus"}, "vendor: 'cirrus'; allowed are Cirrus, Spectralis, Topcon"),
        ({"volumes": 0}, "volumes: 0; allowed are 1 to 24"),
        ({"volumes": 25}, "volumes: 25; allowed are 1 to 24"),
        ({"scale": 0.05}, "scale: 0.05; allowed are 0.1 to 1"),
        ({"scale": 1.5}, "scale: 1.5; allowed are 0.1 to 1"),
        ({"scale": float("nan")}, "scale: nan; allowed are 0.1 to 1"),
        ({"seed": -1}, "seed: -1; allowed are whole numbers from 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(tmp_path, wrong, message):
    right = {"vendor": "Cirrus", "volumes": 4, "scale": 0.25, "seed": 0}
    with pytest.raises(ValueError, match=re.escape(message)):
        write_retouch(tmp_path, **(right | wrong))
    assert list(tmp_path.iterdir()) == []
