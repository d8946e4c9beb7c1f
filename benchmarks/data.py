"""What preparation costs and what its short cuts change: `python -m benchmarks.data`.

Prints five tables, all measured in this one run:
  preparation   the workflow's own step against a plain loop over images, in images and megabytes a
                second and in peak memory, for dermoscopy of six megapixels and for OCT volumes
  decoding      what decoding JPEGs at reduced scale changes in the prepared image
  images        what is left of an image after either rule for resizing
  masks         what either rule for masks leaves of lesions
  access        how fast training can read prepared arrays, on one core

Photographs are mosaics of real dermoscopic images where `../shared/data` has them, else of
phantoms; OCT volumes are phantoms. Takes a few minutes on two cores.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from workflow.config import paths
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.data import make
from workflow.data.decoding import decode, decode_reduced
from workflow.data.fetching.unpack import unpack
from workflow.data.phantom.metaimage import write_metaimage
from workflow.data.phantom.retina import grow_volume
from workflow.data.phantom.skin import write_isic2017
from workflow.data.prepare import prepare
from workflow.data.resize import resize_image, resize_mask
from workflow.data.sources.source import RawImage

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "isic2017_256"
MOSAIC = (12, 8)  # of tiles 256 pixels wide and high: 3072 × 2048, the median of the real set
PARTS = {"Training": 0.6, "Validation": 0.2, "Test_v2": 0.2}


def main() -> None:
    """Make the raw files, measure, print."""
    parser = argparse.ArgumentParser(description="What preparation costs, and what it changes.")
    parser.add_argument("--photographs", type=int, default=60, help="how many (60)")
    parser.add_argument("--volumes", type=int, default=4, help="OCT volumes of 128 slices (4)")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(_measured(*given.child)))
        return
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        folder = Path(scratch)
        # Results go to the working folder, in which the rest of the tree has to be found too.
        for name in ("workflow", "resformer", "baselines", "benchmarks", "config.yaml"):
            (folder / name).symlink_to(ROOT / name)
        tiles = write_photographs(folder / "isic2017", given.photographs)
        write_volumes(folder / "retouch", given.volumes)
        print(f"photographs: mosaics of {tiles}; OCT: phantoms\n")
        print_preparation(folder)
        print_decoding(folder / "isic2017")
        print_images(folder)
        print_masks(folder)
        print_access(folder)


# ---- raw files


def write_photographs(root: Path, count: int) -> str:
    """Write mosaics as JPEGs and PNG masks in the official layout; says what the tiles are."""
    tiles, masks, kind = _tiles(root.parent)
    random = np.random.default_rng(0)
    number = 0
    for part, share in PARTS.items():
        data, truth = (root / f"ISIC-2017_{part}_{x}" for x in ("Data", "Part1_GroundTruth"))
        data.mkdir(parents=True)
        truth.mkdir()
        lines = ["image_id,melanoma,seborrheic_keratosis"]
        for k in range(max(3, round(count * share))):
            chosen = random.integers(0, len(tiles), MOSAIC[0] * MOSAIC[1])
            name, number = f"ISIC_{number:07d}", number + 1
            Image.fromarray(_mosaic(tiles[chosen])).save(data / f"{name}.jpg", quality=92)
            Image.fromarray(_mosaic(masks[chosen])).save(truth / f"{name}_segmentation.png")
            lines.append(f"{name},{float(k % 3 == 0)},{float(k % 3 == 1)}")
        (root / f"ISIC-2017_{part}_Part3_GroundTruth.csv").write_text("\n".join(lines) + "\n")
    return kind


def _tiles(scratch: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Images `[N, 256, 256, 3]` and masks `[N, 256, 256]` of 0 and 255, and what they are."""
    if REAL.is_dir():
        masks = sorted((REAL / "ISIC-2017_Training_Part1_GroundTruth").glob("*.png"))[::20]
        names = [file.name.removesuffix("_segmentation.png") for file in masks]
        images = [REAL / "ISIC-2017_Training_Data" / f"{name}.jpg" for name in names]
        kind = "real dermoscopy"
    else:
        write_isic2017(scratch / "tiles", train=24, val=6, test=6, size=(256, 256), seed=0)
        for archive in (scratch / "tiles").glob("*Training*.zip"):
            unpack(archive, scratch / "tiles", say=lambda _: None)
        images = sorted((scratch / "tiles").rglob("*.jpg"))
        masks = sorted((scratch / "tiles").rglob("*_segmentation.png"))
        kind = "phantoms"
    return (
        np.stack([resize_plainly(Image.open(file).convert("RGB"), 256) for file in images]),
        np.stack([resize_plainly(Image.open(file).convert("L"), 256, True) for file in masks]),
        kind,
    )


def _mosaic(tiles: np.ndarray) -> np.ndarray:
    columns, rows = MOSAIC
    return np.concatenate([np.concatenate(tiles[k::rows][:columns], axis=1) for k in range(rows)])


def write_volumes(root: Path, count: int) -> None:
    """Write phantom Cirrus volumes at true size."""
    for number in range(count):
        volume = grow_volume("Cirrus", number, scale=1.0, seed=0)
        folder = root / "RETOUCH-TrainingSet-Cirrus" / f"TRAIN{number + 1:03d}"
        for name, voxels in (("oct", volume.oct), ("reference", volume.reference)):
            write_metaimage(folder / f"{name}.mhd", voxels, (0.0117, 0.002, 0.047))


# ---- preparation


def configured(folder: Path) -> Config:
    """The paper's configuration on the raw files of this benchmark."""
    return load_config(
        ROOT / "config.yaml",
        {
            "preset": "paper",
            "data": {
                "retouch_dir": str(folder / "retouch"),
                "isic2017_dir": str(folder / "isic2017"),
                "retouch_record": None,
                "isic2017_record": None,
                "threads": 64,
                "val_volumes": 1,
                "test_volumes": 1,
            },
            "datasets": {"retouch_cirrus": {"split": "balanced"}},
        },
    )


def print_preparation(folder: Path) -> None:
    """The step against a plain loop, each in a process of its own."""
    print(f"{'preparation':<34}{'images/s':>10}{'MB/s':>8}{'peak MB':>9}{'faster':>8}")
    for dataset, size in (("isic2017", 224), ("retouch_cirrus", 512)):
        rates = []
        for way in ("plain", "step"):
            command = [sys.executable, "-m", "benchmarks.data", "--child", f"{way}:{dataset}"]
            done = subprocess.run(
                [*command, str(folder)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            rates.append(found["images"] / found["seconds"])
            print(
                f"  {dataset + ' to ' + str(size):<22}{way:<10}{rates[-1]:>10.1f}"
                f"{found['bytes'] / found['seconds'] / 1e6:>8.1f}{found['peak'] / 1e6:>9.0f}"
                f"{rates[-1] / rates[0]:>8.2f}"
            )
    print()


def _measured(work: str, folder: str) -> dict[str, float]:
    """Prepare one data set one way; images, bytes read, seconds, peak memory of this process."""
    way, _, dataset = work.partition(":")
    config = configured(Path(folder))
    root = paths.raw_dir(config, config.raw_source(dataset))
    if way == "step":
        make.raw(config, config.raw_source(dataset))
        make.inventory(config, dataset)
        make.split(config, dataset)
    start = time.perf_counter()
    if way == "step":
        prepare(config, dataset)
        count = sum(1 for _ in (paths.prepared(config, dataset) / "inventory.csv").open()) - 1
    else:
        images = plain_photographs(root) if dataset == "isic2017" else plain_slices(root)
        size = config.datasets[dataset].image_size
        kept = [(resize_plainly(i, size), resize_plainly(m, size, True)) for i, m in images]
        for k, name in enumerate(("images", "masks")):
            np.save(Path(folder) / f"plain_{name}.npy", np.stack([pair[k] for pair in kept]))
        count = len(kept)
    seconds = time.perf_counter() - start
    endings = (".jpg", "_segmentation.png", ".raw")
    total = sum(f.stat().st_size for f in root.rglob("*") if f.name.endswith(endings))
    return {"images": count, "bytes": total, "seconds": seconds, "peak": peak_memory()}


def peak_memory() -> int:
    """The most memory this process held, in bytes; getrusage would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def plain_photographs(root: Path) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Open an image, open its mask, one after the other: what one would write first."""
    for file in sorted(root.rglob("*.jpg")):
        mask = root / file.parent.name.replace("Data", "Part1_GroundTruth")
        yield (
            Image.open(file).convert("RGB"),
            Image.open(mask / f"{file.stem}_segmentation.png").convert("L"),
        )


def plain_slices(root: Path) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Read a volume, go through its slices."""
    for header in sorted(root.rglob("oct.mhd")):
        scans, reference = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(header.with_name(f"{name}.mhd"))))
            for name in ("oct", "reference")
        )
        for scan, mask in zip(scans, reference, strict=True):
            yield Image.fromarray(scan), Image.fromarray(mask)


def resize_plainly(image: Image.Image, size: int, mask: bool = False) -> np.ndarray:
    """Resize with the filters of the default configuration."""
    rule = Image.Resampling.NEAREST if mask else Image.Resampling.BILINEAR
    return np.asarray(image.resize((size, size), rule))


# ---- exactness


def print_decoding(root: Path) -> None:
    """Grey levels by which reduced decoding changes the prepared image, and the time it takes."""
    files = sorted(root.rglob("*.jpg"))[:12]
    print(f"{'decoding at reduced scale':<34}{'mean':>10}{'99.9 %':>8}{'largest':>9}{'faster':>8}")
    for size in (224, 512):
        differences, seconds = [], {"full": 0.0, "reduced": 0.0}
        for file in files:
            start = time.perf_counter()
            whole = decode(file, "RGB")
            full = resize_image(RawImage("", whole, None, whole.shape[:2]), size, "bilinear")
            middle = time.perf_counter()
            pixels, extent = decode_reduced(file, size)
            reduced = resize_image(RawImage("", pixels, None, extent), size, "bilinear")
            seconds["reduced"] += time.perf_counter() - middle
            seconds["full"] += middle - start
            differences.append(np.abs(full.astype(int) - reduced))
        all_ = np.stack(differences)
        print(
            f"  grey levels at {size:<17}{all_.mean():>10.3f}{np.quantile(all_, 0.999):>8.0f}"
            f"{all_.max():>9}{seconds['full'] / seconds['reduced']:>8.1f}"
        )
    print()


def print_masks(folder: Path) -> None:
    """What is left of lesions: Dice of the resized mask blown up again, area, and lesions lost."""
    print(f"{'masks':<36}{'Dice':>10}{'area':>8}{'lost':>9}")
    header = next((folder / "retouch").rglob("reference.mhd"))
    slices = sitk.GetArrayFromImage(sitk.ReadImage(str(header)))
    sets = {
        "OCT fluids to 512": ([s for s in slices if s.any()], 512),
        "OCT fluids to 224": ([s for s in slices if s.any()], 224),
        "dermoscopy mosaics to 224": (
            [
                (decode(file, "L") >= 128).astype(np.uint8)
                for file in sorted((folder / "isic2017").rglob("*_segmentation.png"))[:12]
            ],
            224,
        ),
    }
    for title, (masks, size) in sets.items():
        for rule in ("nearest", "majority"):
            scores = [_kept(mask, size, rule) for mask in masks]
            dice, area, lost = (np.concatenate([s[k] for s in scores]) for k in range(3))
            print(
                f"  {title:<27}{rule:<10}{dice.mean():>7.4f}{area.mean():>8.3f}{lost.mean():>9.2%}"
            )
    print()


def print_images(folder: Path) -> None:
    """What is left of images: root mean square error of the resized one blown up again."""
    header = next((folder / "retouch").rglob("oct.mhd"))
    slices = sitk.GetArrayFromImage(sitk.ReadImage(str(header)))[::16]
    files = sorted((folder / "isic2017").rglob("*.jpg"))[:8]
    sets = {
        "OCT to 512": (list(slices), 512),
        "OCT to 224": (list(slices), 224),
        "dermoscopy mosaics to 224": ([decode(file, "RGB") for file in files], 224),
    }
    print(f"{'images':<36}{'error, grey levels':>21}")
    for title, (images, size) in sets.items():
        for rule in ("bilinear", "area"):
            errors = []
            for image in images:
                small = resize_image(RawImage("", image, None, image.shape[:2]), size, rule)
                back = Image.fromarray(small).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
                errors.append(np.square(np.asarray(back, float) - image).mean())
            print(f"  {title:<27}{rule:<10}{np.sqrt(np.mean(errors)):>7.2f}")
    print()


def _kept(mask: np.ndarray, size: int, rule: str) -> tuple[list[float], list[float], list[bool]]:
    """Of each class in a mask: Dice against the original, area ratio, and whether it is gone."""
    small = resize_mask(mask, size, rule)
    blown_up = np.asarray(Image.fromarray(small).resize(mask.shape[::-1], Image.Resampling.NEAREST))
    dice, area, lost = [], [], []
    for k in np.unique(mask[mask > 0]):
        truth, found = mask == k, blown_up == k
        dice.append(2 * (truth & found).sum() / (truth.sum() + found.sum()))
        area.append(found.sum() / truth.sum())
        lost.append(not found.any())
    return dice, area, lost


def print_access(folder: Path) -> None:
    """Random batches of eight from memory-mapped arrays of 2,000 images."""
    print(f"{'access to prepared arrays, one core':<36}{'images/s':>8}{'MB/s':>8}")
    for dataset in ("isic2017", "retouch_cirrus"):
        prepared = np.load(paths.prepared(configured(folder), dataset) / "train" / "images.npy")
        np.save(folder / "many.npy", np.resize(prepared, (2000, *prepared.shape[1:])))
        images = np.load(folder / "many.npy", mmap_mode="r")
        random, count, start = np.random.default_rng(0), 0, time.perf_counter()
        while time.perf_counter() - start < 2:
            batch = images[np.sort(random.integers(0, len(images), 8))]
            count += len(batch)
        rate = count / (time.perf_counter() - start)
        print(f"  {dataset:<34}{rate:>8.0f}{rate * images[0].nbytes / 1e6:>8.0f}")


if __name__ == "__main__":
    main()
