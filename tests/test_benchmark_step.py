"""The plain implementation computes what the engine does, and the benchmark prints what is cited.

Its speeds are no tests.
"""

import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import plain, taps
from benchmarks.cases import BenchmarkCase, lesions
from benchmarks.roofline import PASSES, needs
from benchmarks.step import TOLERANCE, differences, ratio
from resformer.prediction import Prediction
from tests.workspace import ROOT, environment
from workflow.networks.device import computing
from workflow.training.augmentation import augment, draw_motions

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["resformer_seq", "resformer_par"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_losses_agree_with_the_plain_implementation(method, precision):
    case = BenchmarkCase(method, "isic2017", 48, 4)  # windows of 3: maps with and without padding
    with computing(case.config(threads=1).training):
        found = differences(case, CPU, precision, steps=3)
    first, later = TOLERANCE[precision]
    assert found.losses[0] <= first
    assert max(found.losses) <= later
    assert found.pixels < 1e-4
    assert found.labels <= 3  # where a place lies between two pixels, rounding decides


def test_other_weights_do_not_agree(monkeypatch):
    """The tolerance of bf16 is no licence: a network of another seed breaks it."""
    case = BenchmarkCase("resformer_seq", "isic2017", 32, 2)
    original = plain.PlainStep.__init__

    def other(self, network, training, device):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.1)
        original(self, network, training, device)

    monkeypatch.setattr(plain.PlainStep, "__init__", other)
    with computing(case.config(threads=1).training):
        found = differences(case, CPU, torch.float32, 1)
        assert found.losses[0] > TOLERANCE[torch.bfloat16][0]


def test_a_turned_image_of_another_shape_is_moved_alike():
    generator = torch.Generator().manual_seed(0)
    augmentation = BenchmarkCase("resformer_seq", "isic2017", 32, 2).config().training.augmentation
    images = torch.randint(0, 256, (6, 3, 20, 32), generator=generator, dtype=torch.uint8)
    masks = torch.randint(0, 4, (6, 20, 32), generator=generator, dtype=torch.uint8)
    motions = draw_motions(6, images.shape[-2:], augmentation, generator)
    ours, our_masks = augment(images, masks, motions, 255.0)
    pairs = [plain.moved(*one) for one in zip(images, masks, motions, strict=True)]
    theirs, their_masks = (torch.stack(part) for part in zip(*pairs, strict=True))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert (our_masks != their_masks).sum() <= 3


def test_the_ratio_is_that_of_the_middle_turn():
    assert ratio([10, 30, 40], [5, 3, 20]) == 2


def test_pngs_hold_the_images_and_masks(tmp_path):
    case = BenchmarkCase("resformer_seq", "retouch_cirrus", 32, 2)
    images = lesions(case, CPU)
    assert images.masks.unique().tolist() == [0, 1, 2, 3]
    still = case.config().training.augmentation.model_copy(
        update={"rotation": 0, "horizontal_flip": 0, "vertical_flip": 0}
    )
    files = plain.PngImages(tmp_path, images.images, images.masks, images.labels, still)
    pixels, mask, label = files[5]
    assert torch.equal(pixels, images.images[5].float() / 255)
    assert torch.equal(mask, images.masks[5].long())
    assert torch.equal(label, images.labels[5])


def test_taps_that_see_padding_alone():
    assert taps.idle(512) == []
    assert taps.idle(224) == [(512, 14, 18)]
    assert taps.idle(96) == [(256, 12, 12), (256, 12, 18), *((512, 6, d) for d in (6, 12, 18))]
    assert taps.saved_flops(224) == 2 * 8 * 512**2 * 14**2
    x, weight = torch.randn(1, 4, 6, 6), torch.randn(4, 4, 3, 3)
    whole = F.conv2d(x, weight, padding=6, dilation=6)
    torch.testing.assert_close(whole, F.conv2d(x, weight[:, :, 1:2, 1:2]))


def test_needs_count_what_is_kept_once():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, image):
            return Prediction(image * self.scale, None)

    images = torch.ones(2, 3, 4, 4)
    need = needs(One(), images, torch.float32, 10)
    assert need.flops == PASSES * 2 * 10
    assert need.bytes == 2 * images.nbytes + 7 * 4 * 3


def test_the_benchmark_prints_every_line():
    command = [sys.executable, "-m", "benchmarks.step", "--quick", "--methods", "resformer_par"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = done.stdout.splitlines()
    titles = [line.split()[0] for line in lines]
    parts = ["machine", "step", "memory", "strict", "phases", "roofline", "taps"]
    assert titles == [*parts, "agreement", "agreement"]
    assert re.search(r"[\d.]+ times as fast .*; target 3: (not )?met$", lines[1])
    assert len(re.findall(r"takes [\d.]+% of plain's processor time, and [\d.]+%", lines[2])) == 1
    assert re.search(r"strict costs [+-][\d.]+%$", lines[3])
    shares = re.findall(r"(\S+) ([\d.]+)%", lines[4])
    names = ["data", "augment", "forward", "loss", "backward+optimiser"]
    assert [name for name, _ in shares] == names
    assert sum(float(share) for _, share in shares) == pytest.approx(100, abs=0.3)
    assert all(": kept;" in line for line in lines[-2:])


def test_seeds_at_once_have_the_bits_of_seeds_one_by_one():
    command = [sys.executable, "-m", "benchmarks.together", "--quick"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 seeds of 2 steps on " in done.stdout
    assert done.stdout.endswith("the weights have the same bits\n")
