"""What is predicted of a test split is what evaluation counted of it, to the last digit."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from tests.workflow.prediction.conftest import METHOD
from workflow.__main__ import main
from workflow.base.errors import DataError, UsageError
from workflow.metrics.metrics import metrics
from workflow.metrics.saved import read_counts
from workflow.prediction.members import find_members

LESIONS = {"isic2017": ["lesion"], "retouch_spectralis": ["irf", "srf", "ped"]}


def table(file):
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_ids(trained, dataset):
    index = pq.read_table(trained.prepared(dataset) / "test" / "index.parquet")
    return index["id"].to_pylist()


@pytest.fixture(scope="module")
def photographs(trained):
    """The raw test images in the order of the split."""
    files = {file.stem: file for file in trained.raw("isic2017/**/*Test_v2_Data/*.jpg")}
    return [files[name] for name in test_ids(trained, "isic2017")]


@pytest.fixture(scope="module")
def volume(trained):
    (name,) = {one.rpartition("-")[0] for one in test_ids(trained, "retouch_spectralis")}
    (file,) = trained.raw(f"retouch/**/{name}/oct.mhd")
    return file


test_ids.__test__ = False


def predicted(trained, dataset, images, out, *options):
    words = [str(trained.run(dataset)), *map(str, images)]
    # The bits of logits depend on the number of threads, which evaluation had one of.
    given = ["--out", str(out), "--device", "cpu", "--threads", "1", *options]
    assert main(["predict", *words, *given]) == 0
    return table(out / "predictions.csv")


@pytest.fixture(scope="module")
def masked(trained, photographs, tmp_path_factory):
    """The prediction of the test images, with their raw references and labels."""
    out = tmp_path_factory.mktemp("isic") / "out"
    (folder,) = {file.parent for file in trained.raw("isic2017/**/*Test_v2_Part1*/*_seg*.png")}
    labels = out.with_name("labels.csv")
    index = pq.read_table(trained.prepared("isic2017") / "test" / "index.parquet").to_pylist()
    names = ("melanoma", "seborrheic_keratosis", "nevus")
    lines = [",".join([r["id"], *(str(r[f"label_{n}"]) for n in names)]) for r in index]
    labels.write_text("\n".join(["id," + ",".join(names), *lines]) + "\n")
    given = ["--references", str(folder), "--references", str(labels), "--overlays"]
    return predicted(trained, "isic2017", photographs, out, *given), out


def test_masks_of_photographs_are_those_of_evaluation_at_their_own_size(
    trained, masked, photographs
):
    rows, out = masked
    saved = np.load(trained.evaluated("isic2017") / "masks.npz")["masks"]
    assert len(np.unique(saved)) > 1, "a constant mask would test nothing"
    assert [row["name"] for row in rows] == test_ids(trained, "isic2017")
    for file, row, mask in zip(photographs, rows, saved, strict=True):
        found = np.asarray(Image.open(out / row["mask"]))
        with Image.open(file) as image:
            assert (found.shape, found.dtype) == ((image.height, image.width), np.uint8)
        # Where a pixel of the network's mask has its centre in the photograph.
        size = np.array(found.shape)
        at = [(2 * np.arange(32) + 1) * n // 64 for n in size]
        assert np.array_equal(found[np.ix_(*at)], mask)
        assert int(row["pixels_lesion"]) == (found == 1).sum()


def test_scores_beside_references_are_those_of_the_workflow_to_the_last_digit(trained, masked):
    _, out = masked
    own = read_counts(out / "counts.parquet")
    counted = read_counts(trained.evaluated("isic2017") / "counts.parquet")
    for name in ("tp", "fp", "fn", "tn"):
        assert np.array_equal(getattr(own.pixels, name), getattr(counted.pixels, name))
    assert np.array_equal(own.labels.logit, counted.labels.logit)
    assert np.array_equal(own.labels.target, counted.labels.target)
    expected = metrics(counted, trained.config.evaluation)
    found = {row["name"]: float(row["value"]) for row in table(out / "scores.csv")}
    assert found == {name: pytest.approx(value, abs=0) for name, (value, _) in expected.items()}


def test_a_volume_is_predicted_as_evaluation_did_and_keeps_its_place(trained, volume, tmp_path):
    rows = predicted(
        trained, "retouch_spectralis", [volume], tmp_path / "out",
        "--references", str(volume.parent),
    )  # fmt: skip
    image = sitk.ReadImage(str(volume))
    assert len(rows) == image.GetSize()[2]
    mask = sitk.ReadImage(str(tmp_path / "out" / rows[0]["mask"]))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(mask, what)() == getattr(image, what)()
    voxels = sitk.GetArrayFromImage(mask)
    assert len(np.unique(voxels)) > 1
    (total,) = table(tmp_path / "out" / "volumes.csv")
    volume_of_one = np.prod(image.GetSpacing())
    for value, lesion in enumerate(LESIONS["retouch_spectralis"], 1):
        assert int(total[f"voxels_{lesion}"]) == (voxels == value).sum()
        assert float(total[f"mm3_{lesion}"]) == pytest.approx(
            (voxels == value).sum() * volume_of_one, rel=1e-5
        )
    # Of the slices that evaluation saw, the same pixels and the same logits.
    own = read_counts(tmp_path / "out" / "counts.parquet")
    counted = read_counts(trained.evaluated("retouch_spectralis") / "counts.parquet")
    at = [int(name.rpartition("-")[2]) for name in counted.pixels.images.ids]
    assert np.array_equal(own.pixels.tp[at], counted.pixels.tp)
    assert np.array_equal(own.pixels.fn[at], counted.pixels.fn)
    assert np.array_equal(own.labels.target[at], counted.labels.target)
    np.testing.assert_allclose(own.labels.logit[at], counted.labels.logit, atol=1e-5)


def test_the_folder_explains_itself_and_has_a_page(masked):
    _, out = masked
    about = json.loads((out / "about.json").read_text())
    assert about["lesions"] == {"1": "lesion"}
    assert about["use"] == "not for clinical use"
    page = (out / "index.html").read_text()
    assert "Not for clinical use" in page
    for row in table(out / "predictions.csv"):
        assert row["name"] in page
        for name in (f"{row['name']}.webp", f"{row['name']}_painted.webp"):
            assert (out / "thumbs" / name).is_file()
            assert f"thumbs/{name}" in page
        painted = np.asarray(Image.open(out / "overlays" / f"{row['name']}.png"))
        assert painted.shape == (int(row["height"]), int(row["width"]), 3)


def test_several_seeds_are_averaged_and_their_disagreement_is_a_map(trained, photographs, tmp_path):
    results = trained.root / trained.config.results
    words = [str(results), "isic2017", METHOD, *map(str, photographs)]
    options = ["--out", str(tmp_path / "both"), "--device", "cpu"]
    assert main(["predict", *words, *options]) == 0
    rows = table(tmp_path / "both" / "predictions.csv")
    saved = [np.load(trained.evaluated("isic2017", seed) / "masks.npz")["masks"] for seed in (0, 1)]
    assert any((one != two).any() for one, two in zip(*saved, strict=True))
    differing = [float(row["disagreement"]) for row in rows]
    assert max(differing) > 0
    for row in rows:
        found = np.asarray(Image.open(tmp_path / "both" / "disagreement" / f"{row['name']}.png"))
        assert set(np.unique(found)) <= {0, 128, 255}
        assert 0 <= float(row["probability_nevus"]) <= 1


def test_the_mean_of_two_networks_is_that_of_their_probabilities(trained, photographs):
    from workflow.prediction.computing import Ensemble
    from workflow.prediction.inputs import InputImage
    from workflow.prediction.reading import read_prepared

    folder = trained.run("isic2017").parent
    members, rest = find_members([str(folder), "x.png"])
    assert ([member.name for member in members], rest) == (["seed 0", "seed 1"], ["x.png"])
    prepared = np.concatenate(
        [
            read_prepared(
                InputImage(f.stem, f, "picture"), members[0].about.preparation, False
            ).prepared
            for f in photographs
        ]
    )
    cpu = torch.device("cpu")
    pixels = torch.from_numpy(prepared).movedim(-1, 1).float() / 255
    with torch.inference_mode():
        said = [_alone(member)(pixels) for member in members]
    both = Ensemble(members, cpu, torch.float32).answer(prepared)
    mean = torch.stack([one.segmentation.softmax(1) for one in said]).mean(0)
    assert np.array_equal(both.masks, mean.argmax(1).numpy())
    shares = torch.stack([one.classification.sigmoid() for one in said]).mean(0)
    torch.testing.assert_close(
        torch.from_numpy(both.logits).sigmoid(), shares, atol=1e-5, rtol=1e-4
    )
    own = torch.stack([one.segmentation.argmax(1) for one in said]).numpy()
    assert np.array_equal(
        both.disagreement, np.rint(255 * (own != both.masks[None]).mean(axis=0)).astype(np.uint8)
    )
    flipped = Ensemble(members[:1], cpu, torch.float32, flips=True)
    mirrored = flipped.answer(prepared[:, :, ::-1])
    plain = flipped.answer(prepared)
    assert np.array_equal(mirrored.masks[:, :, ::-1], plain.masks)
    np.testing.assert_allclose(mirrored.logits, plain.logits, atol=1e-4)


def _alone(member):
    from safetensors.torch import load_file

    network = member.about.build()
    network.load_state_dict(load_file(member.weights))
    return network.eval()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "a.png"], "found nowhere, which is no trained network"),
        (["RESULTS"], "has runs of isic2017, retouch_spectralis; name a data set and a method"),
        (["RESULTS", "isic2018", METHOD], "did you mean 'isic2017'"),
        (["RESULTS", "isic2017", "resformer"], "unknown name 'resformer'"),
    ],
)
def test_what_is_no_network_is_refused_with_what_would_be(trained, words, said):
    words = [str(trained.root / trained.config.results) if w == "RESULTS" else w for w in words]
    with pytest.raises(UsageError, match=said):
        find_members(words)


def test_a_run_whose_weights_were_not_kept_is_named(trained, tmp_path):
    results = tmp_path / "results" / "x"
    folder = results / "runs" / "isic2017" / METHOD / "seed0"
    folder.mkdir(parents=True)
    (results / "config.json").write_bytes(
        (trained.root / trained.config.results / "config.json").read_bytes()
    )
    record = (trained.run("isic2017") / "run.json").read_text()
    (folder / "run.json").write_text(record)
    with pytest.raises(DataError, match="keep_weights: true"):
        find_members([str(folder)])
    failed = {**json.loads(record), "failure": {"message": "the loss is not finite"}}
    (folder / "run.json").write_text(json.dumps(failed))
    with pytest.raises(DataError, match="this run failed in training"):
        find_members([str(folder)])
    (results / "config.json").unlink()
    with pytest.raises(DataError, match="resformer export"):
        find_members([str(folder)])


def test_an_earlier_prediction_is_kept_unless_it_is_to_be_replaced(
    trained, photographs, tmp_path, capsys
):
    out = tmp_path / "out"
    predicted(trained, "isic2017", photographs[:1], out)
    words = ["predict", str(trained.run("isic2017")), str(photographs[1]), "--out", str(out)]
    assert main(words) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*words, "--replace"]) == 0
    assert [row["name"] for row in table(out / "predictions.csv")] == [photographs[1].stem]
    assert [file.stem for file in (out / "masks").iterdir()] == [photographs[1].stem]
    (out / "mine.txt").write_text("mine")
    assert main([*words, "--replace"]) == 1
    assert "mine.txt" in capsys.readouterr().err
