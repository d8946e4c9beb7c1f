"""Gende et al.: a library's U-Net as oracle, skips after BN and ReLU, where labels come from."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn

from baselines import gende
from tests.baselines.methods import as_torch_draws

CLS_FROM = ("encoder", "decoder", "both")


def make(cls_from="encoder", *, image_size=64, n_seg=3, n_cls=3):
    return gende.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, cls_from=cls_from)


@pytest.fixture(scope="module")
def network():
    """A network with norms that have seen a batch, in evaluation mode."""
    torch.manual_seed(0)
    network = make()
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_equals_the_library_s_unet(network, image):
    head = {"classes": 3, "pooling": "avg", "dropout": 0.2}
    oracle = smp.Unet("densenet121", encoder_weights=None, classes=4, aux_params=head).eval()
    assert count(oracle) == count(network) == 13_611_143
    # The one difference: that library's last map has no ReLU after its norm.
    oracle.encoder.features.norm5 = nn.Sequential(oracle.encoder.features.norm5, nn.ReLU())
    # Both register encoder, decoder, heads in the order of the computation.
    values = network.state_dict().values()
    oracle.load_state_dict(dict(zip(oracle.state_dict(), values, strict=True)))
    for ours, theirs in zip(network(image)[:2], oracle(image), strict=True):
        assert ours.std() > 0.01
        torch.testing.assert_close(ours, theirs)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def test_skips_are_taken_after_bn_and_relu_and_before_the_transition_s_convolution(network, image):
    library = timm.create_model("densenet121").eval()
    # Weights of timm's hub fit by name, all but the classifier.
    missing, unexpected = library.load_state_dict(network.encoder.state_dict(), strict=False)
    assert set(missing) == {"classifier.weight", "classifier.bias"}
    assert not unexpected
    outputs = []
    norms = ["norm0", "transition1.norm", "transition2.norm", "transition3.norm", "norm5"]
    for name in norms:
        module = library.features.get_submodule(name)
        module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    library(image)
    for skip, expected in zip(network.encoder(image), outputs, strict=True):
        assert (skip >= 0).all()
        torch.testing.assert_close(skip, expected)


@torch.no_grad()
@pytest.mark.parametrize("cls_from", CLS_FROM)
def test_labels_come_from_the_averages_of_the_maps_asked_for(cls_from):
    torch.manual_seed(2)
    network = make(cls_from)
    maps = {}
    for name, module in (("encoder", network.encoder), ("decoder", network.decoder[-1])):
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: maps.update({name: output})
        )
    network.train().classification_head.eval()
    logits = network(torch.rand(2, 3, 64, 32)).classification
    averages = {
        "encoder": maps["encoder"][-1].flatten(2).mean(2),
        "decoder": maps["decoder"].flatten(2).mean(2),
    }
    assert averages["encoder"].shape == (2, 1024)
    assert averages["decoder"].shape == (2, 16)
    parts = ["encoder", "decoder"] if cls_from == "both" else [cls_from]
    linear = network.classification_head[1]
    expected = torch.cat([averages[part] for part in parts], 1) @ linear.weight.T + linear.bias
    torch.testing.assert_close(logits, expected)


def test_the_head_drops_one_feature_in_five_in_training(network):
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert [module.p for module in dropouts] == [0.2]


@torch.no_grad()
def test_initial_weights():
    torch.manual_seed(3)
    network = make()
    known = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    heads = set(as_torch_draws(network.segmentation_head, network.classification_head[1]))
    for name, module in network.named_modules():
        if module in heads:
            continue
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[:, 0].numel()
            ratio = module.weight.std() / (2 / fan_out) ** 0.5
            assert abs(ratio - 1) < 5 / (2 * module.weight.numel()) ** 0.5, name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all(), name
        assert isinstance(module, known) or not list(module.parameters(recurse=False)), name
        bias = getattr(module, "bias", None)
        assert bias is None or not bias.any(), name


@pytest.mark.parametrize("cls_from", CLS_FROM)
def test_oblong_images_and_a_single_lesion_type(cls_from):
    with torch.device("meta"):
        prediction = make(cls_from, n_seg=1)(torch.empty(2, 3, 96, 160))
    assert prediction.segmentation.shape == (2, 2, 96, 160)
    assert prediction.classification.shape == (2, 3)


def test_wrong_arguments_are_refused(network):
    with pytest.raises(
        ValueError, match="gende: cls_from is 'x'; choose one of encoder, decoder, b"
    ):
        make("x")
    for missing in ("n_seg", "n_cls"):
        with pytest.raises(ValueError, match=f"gende: {missing} is None; .* needs 1 or more"):
            make(**{missing: None})
    for size in (0, 48):
        pixels = f"gende: .* {size}×{size} .*multiples of 32, at least 32"
        with pytest.raises(ValueError, match=pixels):
            make(image_size=size)
    with pytest.raises(ValueError, match="gende: an image of 64×40 pixels does not work"):
        network(torch.rand(1, 3, 64, 40))
