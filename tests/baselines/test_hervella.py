"""Hervella et al.: the whole U-Net written out, its two ways to pool, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import hervella
from tests.baselines.methods import as_torch_draws


def make(pool="avg", *, image_size=64, n_seg=3, n_cls=3):
    return hervella.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, pool=pool)


@pytest.fixture(scope="module", params=["avg", "avgmax"])
def pool(request):
    return request.param


@pytest.fixture(scope="module")
def network(pool):
    """Norms with statistics of a batch, biases that are not zero, in evaluation mode."""
    torch.manual_seed(0)
    network = make(pool)
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 32, 32))
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.1)
    return network.eval()


def by_hand(network, image):
    """Last decoder map of the U-Net, from the parameters in the order of the computation."""
    shared = network.encoder.state_dict() | {
        f"up{key}": value for key, value in network.decoder.state_dict().items()
    }
    values = iter([value for key, value in shared.items() if "num_batches" not in key])

    def two_convolutions(x):
        for _ in range(2):
            x = F.conv2d(x, next(values), padding=1)
            weight, bias, mean, variance = (next(values) for _ in range(4))
            x = F.batch_norm(x, mean, variance, weight, bias).clamp(min=0)
        return x

    levels = [two_convolutions(image)]
    for _ in range(4):
        b, c, h, w = levels[-1].shape
        pooled = levels[-1].view(b, c, h // 2, 2, w // 2, 2).amax(dim=(3, 5))
        levels.append(two_convolutions(pooled))
    x = levels.pop()
    while levels:
        kernel, bias = next(values), next(values)
        # Of stride 2 and 2×2: every pixel becomes four, each by its own matrix.
        up = torch.einsum("bihw,ioyx->bohywx", x, kernel)
        up = up.flatten(4, 5).flatten(2, 3) + bias.view(-1, 1, 1)
        x = two_convolutions(torch.cat([levels.pop(), up], 1))
    assert next(values, None) is None
    return x


@torch.no_grad()
def test_network_is_the_one_written_out(network, pool):
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    prediction = network(image)
    last = by_hand(network, image)
    assert last.shape == (2, 64, 32, 48)
    head = network.segmentation_head
    segmentation = torch.einsum("bchw,kc->bkhw", last, head.weight[:, :, 0, 0])
    torch.testing.assert_close(
        prediction.segmentation, segmentation + head.bias.view(-1, 1, 1), rtol=1e-3, atol=1e-4
    )
    pixels = last.flatten(2)
    pooled = pixels.mean(2) if pool == "avg" else torch.cat([pixels.mean(2), pixels.amax(2)], 1)
    head = network.classification_head
    classification = pooled @ head.weight.T + head.bias
    torch.testing.assert_close(prediction.classification, classification, rtol=1e-3, atol=1e-4)


def test_all_but_the_heads_is_shared(pool):
    with torch.device("meta"):
        network = make(pool)
    assert [name for name, _ in network.named_children()] == [
        "encoder",
        "decoder",
        "segmentation_head",
        "classification_head",
    ]
    assert not [m for m in network.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]


@torch.no_grad()
def test_initial_weights():
    torch.manual_seed(3)
    network = make()
    heads = set(as_torch_draws(network.segmentation_head, network.classification_head))
    for name, module in network.named_modules():
        if module in heads:
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            ratio = module.weight.std() / (2 / (module.out_channels * kernel)) ** 0.5
            assert abs(ratio - 1) < 5 / (2 * module.weight.numel()) ** 0.5, name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all(), name
        else:
            assert not list(module.parameters(recurse=False)), name
        bias = getattr(module, "bias", None)
        assert bias is None or not bias.any(), name


def test_oblong_images_and_a_single_lesion_type(pool):
    with torch.device("meta"):
        prediction = make(pool, n_seg=1)(torch.empty(2, 3, 96, 176))
    assert prediction.segmentation.shape == (2, 2, 96, 176)
    assert prediction.classification.shape == (2, 3)


def test_wrong_arguments_are_refused(network):
    with pytest.raises(ValueError, match="hervella: pool is 'max'; choose one of avg, avgmax"):
        make("max")
    for missing in ("n_seg", "n_cls"):
        with pytest.raises(ValueError, match=f"hervella: {missing} is None; .* needs 1 or more"):
            make(**{missing: None})
    for size in (16, 40):
        pixels = f"hervella: .* {size}×{size} .*multiples of 16, at least 32"
        with pytest.raises(ValueError, match=pixels):
            make(image_size=size)
    with pytest.raises(ValueError, match="hervella: an image of 64×40 pixels does not work"):
        network(torch.rand(1, 3, 64, 40))
