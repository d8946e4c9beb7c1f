"""Images a second of the engine's data path: `python -m benchmarks.loader [--quick]`.

Prints, all measured in this one run, on whatever device the configuration chooses:
  standard    what a good engineer writes first: PNG files, torchvision's transforms of image and
              mask, a DataLoader; without, with one and with two workers
  engine      uint8 arrays on the device, batches gathered there, turned and flipped at once; and
              from host memory, where the device is another
  limit       bytes that the engine has to move per image, and what they would take at the rate of
              a plain copy
Portions of both take turns, and the fastest of each counts, because a busy machine disturbs the
others. Batches that workers made before a portion began are not counted, and the next portion
begins when they have made new ones: neither is a gift, and neither disturbs the engine. Processor
time, which other jobs disturb least, is that of this process, so it is given where there are no
workers. Files have just been written, so the standard loader never waits for a disk. Images are the
real ones where `../shared/data` has them, else phantoms.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from benchmarks.data import _tiles
from benchmarks.plain import PngImages
from benchmarks.roofline import measure
from workflow.config.load import load_config
from workflow.config.training import Augmentation
from workflow.data.images import DeviceImages
from workflow.networks.device import available_cpus, choose_device, computing
from workflow.training.augmentation import augment, draw_motions

TARGET = 10.0
PREFETCHED = 2  # batches that each worker makes before it is asked to; a DataLoader's default
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PngFiles(PngImages):
    """Images and masks in PNG files, read and moved one by one by torchvision."""

    def __init__(
        self,
        folder: Path,
        images: Tensor,
        masks: Tensor,
        labels: Tensor,
        augmentation: Augmentation,
    ) -> None:
        super().__init__(folder, images, masks, labels, augmentation)
        kinds: dict[Any, Any] = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}
        self.transform = v2.Compose(
            [
                v2.RandomRotation(
                    [-augmentation.rotation, augmentation.rotation], InterpolationMode.BILINEAR
                ),
                v2.RandomHorizontalFlip(augmentation.horizontal_flip),
                v2.RandomVerticalFlip(augmentation.vertical_flip),
                v2.ToImage(),
                v2.ToDtype({**kinds, "others": None}, scale=True),
                v2.Normalize(MEAN, DEVIATION),
            ]
        )

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """One image, float32 `[3, H, W]`, its mask, int64 `[H, W]`, and its labels."""
        image = Image.open(self.folder / f"{index}.png").convert("RGB")
        mask = tv_tensors.Mask(np.array(Image.open(self.folder / f"{index}_mask.png")))
        pixels, moved = self.transform(image, mask)
        return pixels, moved, self.labels[index]


def standard(files: PngFiles, batch: int, workers: int, device: torch.device) -> Iterator[int]:
    """Batches on the device without end; gives the number of images of each."""
    loader = DataLoader(
        files,
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCHED if workers else None,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    while True:
        for parts in loader:
            for part in parts:
                part.to(device, non_blocking=True)
            yield len(parts[0])


def engine(images: DeviceImages, batch: int, augmentation: Augmentation) -> Iterator[int]:
    """The same of the engine, an epoch after the other as the training loop has them."""
    generator = torch.Generator().manual_seed(0)
    while True:
        parts = torch.randperm(len(images), generator=generator).split(batch)
        shape = images.images.shape[-2:]
        motions = draw_motions(len(images), shape, augmentation, generator).to(images.device)
        for given, moved in zip(images.batches(parts), motions.split(batch), strict=True):
            augment(given.images, given.masks, moved, images.scale)
            yield len(given.images)


class BatchSource(NamedTuple):
    """Where batches come from, and how many of them may lie ready, or be made, unasked."""

    batches: Iterator[int]
    ready: int = 0


class Rate(NamedTuple):
    """Images per second of the clock, and per second that this process has a processor."""

    clock: float
    processor: float


def rates(
    sources: dict[str, BatchSource], device: torch.device, count: int, rounds: int
) -> dict[str, Rate]:
    """The rates of each: the fastest of some portions of `count` images, in turns."""
    best = dict.fromkeys(sources, Rate(0.0, 0.0))
    for number in range(rounds + 1):
        for name, (batches, ready) in sources.items():
            for _ in range(ready):
                next(batches)
            start, busy, done = time.perf_counter(), time.process_time(), 0
            # Many times more of what is many times faster, so that each is measured as long.
            while done < count or time.perf_counter() - start < 0.2:
                done += next(batches)
            if device.type == "cuda":
                torch.cuda.synchronize()
            spent = (time.perf_counter() - start, time.process_time() - busy)
            if number:  # the first starts the workers
                best[name] = Rate(
                    *(max(b, done / s) for b, s in zip(best[name], spent, strict=True))
                )
            # As long as the workers may need to make their batches anew, and half of that more.
            time.sleep(1.5 * ready * next(batches) * spent[0] / done if ready else 0)
    return best


def sample(size: int, channels: int, count: int, scratch: Path) -> tuple[Tensor, Tensor, str]:
    """Images `[N, C, H, W]`, masks `[N, H, W]` of 0 and 1, and what they are."""
    tiles, masks, kind = _tiles(scratch)

    def resized(values: np.ndarray, rule: Image.Resampling) -> np.ndarray:
        chosen = [values[k % len(values)] for k in range(count)]
        return np.stack([np.array(Image.fromarray(v).resize((size, size), rule)) for v in chosen])

    pixels = torch.from_numpy(resized(tiles, Image.Resampling.BILINEAR)).movedim(-1, 1)
    lesions = torch.from_numpy(resized(masks, Image.Resampling.NEAREST) >= 128)
    return pixels[:, :channels].contiguous(), lesions.to(torch.uint8), kind


def moved_bytes(images: DeviceImages) -> int:
    """Bytes per image that cannot be avoided.

    Pixels are read and written as they are gathered, and read as they are moved; a float32 image
    of three channels and an int64 mask are written.
    """
    side = images.masks[0].numel()
    return 3 * side * (images.images.shape[1] + 1) + side * (3 * 4 + 8)


def compare(size: int, channels: int, count: int, rounds: int) -> float:
    """Measure one size and print it; returns the ratio to the fastest standard loader."""
    config = load_config(overrides={"training": {"threads": available_cpus()}})
    training = config.training_for("isic2017", "resformer_par")
    device, batch = choose_device(training), training.batch_size
    with tempfile.TemporaryDirectory() as scratch, computing(training):
        folder, threads = Path(scratch), torch.get_num_threads()
        pixels, masks, kind = sample(size, channels, count, folder)
        labels = torch.eye(3).repeat(count, 1)[:count]
        files = PngFiles(folder, pixels, masks, labels, training.augmentation)
        host = DeviceImages(pixels, masks, labels.to(device), 255.0, device)
        near = DeviceImages(pixels.to(device), masks.to(device), labels.to(device), 255.0)
        sources = {
            f"standard, {w} workers": BatchSource(standard(files, batch, w, device), PREFETCHED * w)
            for w in sorted({0, 1, 2, available_cpus()})
        }
        sources["engine"] = BatchSource(engine(near, batch, training.augmentation))
        if device.type != "cpu":
            sources["engine, host memory"] = BatchSource(engine(host, batch, training.augmentation))
        found = rates(sources, device, max(batch, count // 2), rounds)
        bound = measure(device).bandwidth / moved_bytes(near)
    alone, mine = found["standard, 0 workers"].processor, found["engine"].processor
    best = max(rate.clock for name, rate in found.items() if name.startswith("standard"))
    print(f"{size} x {size}, {channels} channels, {kind}, {device}, {threads} threads")
    for name, rate in found.items():
        print(
            f"  {name:<24}{rate.clock:>10.0f} images/s{rate.clock / best:>9.1f} x the best standard"
        )
    print(
        f"  {'limit':<24}{bound:>10.0f} images/s: {moved_bytes(near) / 1e6:.1f} MB per image at "
        f"the rate of a copy; the engine reaches {found['engine'].clock / bound:.0%}"
    )
    if device.type == "cpu":
        print(
            f"  {'processor time':<24}{1e3 / alone:>10.2f} ms an image without workers, "
            f"{1e3 / mine:.2f} of the engine: {mine / alone:.1f} times"
        )
    return found["engine"].clock / best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images; not worth citing")
    given = parser.parse_args()
    count, rounds = (16, 1) if given.quick else (64, 5)
    for size, channels in ((224, 3), (512, 1)):
        ratio = compare(size, channels, count, rounds)
        verdict = "reached" if ratio >= TARGET else "not reached"
        print(f"  {ratio:.1f} times the fastest standard loader; {TARGET:.0f} is {verdict}\n")


if __name__ == "__main__":
    main()
