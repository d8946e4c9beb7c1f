"""Where every method of the configuration starts: near "I do not know", not sure of anything.

Logits that start large are a softmax or sigmoid that starts at its ends, where its gradient is
small, and a loss of several times what knowing nothing costs. Bounds are those of fresh networks in
training mode on four ordinary images, with a margin; measured over three seeds and all methods:

  pixels, 3 classes   largest probability .39 to .60, cross entropy 1.01 to 1.33 times log 3
  labels              larger probability  .52 to .71, cross entropy 0.89 to 1.30 times log 2

With heads drawn like other convolutions ResFormer, He, Hervella, Gende and Tang had .73 to .92 and
1.8 to 5.8 for pixels. Two methods start where their authors' rule puts them, outside the bounds.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.baselines.methods import METHODS, build, size_at_least

PIXELS = (0.68, 1.6)
LABELS = (0.8, 1.5)
# Xavier-normal layers on features after BN and max-pooling, with nothing in between: their authors'
# rule. Measured: OCTNet .83 to .95 and 2.4 to 5.3, MSL-SRN .77 to .85 and 1.2 to 2.3.
AUTHORS_RULE = {"octnet": (0.98, 7.0), "msl_srn": (0.92, 3.5)}


def ordinary(size, count=4):
    """Images of soft colours and a little noise, `[N, 3, H, W]` in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 3, 6, 6, generator=generator)
    noise = torch.randn(count, 3, size, size, generator=generator)
    image = 0.5 + 0.15 * F.interpolate(coarse, size=size, mode="bicubic") + 0.05 * noise
    return image.clamp(0, 1)


def pixels_start(logits):
    """Mean largest probability, and cross entropy as a multiple of its uniform value."""
    generator = torch.Generator().manual_seed(1)
    classes = logits.shape[1]
    masks = torch.randint(0, classes, (len(logits), *logits.shape[2:]), generator=generator)
    cost = F.cross_entropy(logits, masks).item() / math.log(classes)
    return logits.softmax(1).amax(1).mean().item(), cost


def labels_start(logits):
    """Mean of the larger of p and 1 - p, and cross entropy as a multiple of its uniform value."""
    labels = (torch.arange(logits.numel()).view(logits.shape) % 2).float()
    cost = F.binary_cross_entropy_with_logits(logits, labels).item() / math.log(2)
    return torch.sigmoid(logits.abs()).mean().item(), cost


@torch.no_grad()
def first_prediction(network, size):
    return network.train()(ordinary(size))


@pytest.mark.parametrize("name", METHODS)
def test_the_first_logits_are_not_saturated(name):
    torch.manual_seed(0)
    size = size_at_least(name, 64)
    prediction = first_prediction(build(name, size), size)
    if prediction.segmentation is not None:
        largest, cost = pixels_start(prediction.segmentation)
        assert largest < PIXELS[0]
        assert cost < PIXELS[1]
    if prediction.classification is not None:
        largest, cost = labels_start(prediction.classification)
        most, dearest = AUTHORS_RULE.get(name, LABELS)
        assert largest < most
        assert cost < dearest


@pytest.mark.parametrize("name", ["resformer_seq", "resformer_par", "he", "hervella"])
def test_a_head_drawn_like_other_convolutions_is_saturated(name):
    torch.manual_seed(0)
    network = build(name, 64)
    head = getattr(network, "segmentation_head", None) or network.segmentation.head
    (conv,) = (module for module in head.modules() if isinstance(module, nn.Conv2d))
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    largest, cost = pixels_start(first_prediction(network, 64).segmentation)
    assert largest > PIXELS[0]
    assert cost > PIXELS[1]


def test_resformer_s_labels_as_printed_start_saturated():
    torch.manual_seed(0)
    network = build("resformer_seq", 64, cls_norm="none")
    largest, cost = labels_start(first_prediction(network, 64).classification)
    assert largest > 0.7
    assert cost > LABELS[1]
