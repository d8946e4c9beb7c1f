"""The six compared methods that come from libraries, as methods of this project.

Where a method has a small variant, the tests that compute use it; the large one differs in width
and depth alone, and its shapes are tested on the meta device.
"""

import pytest
import torch
from torch import nn

from baselines import deeplabv3plus, efficientnet, inceptionv3, swint, unetpp, vit
from resformer.prediction import Prediction

MODULES = {
    module.__name__.removeprefix("baselines."): module
    for module in (unetpp, deeplabv3plus, inceptionv3, efficientnet, vit, swint)
}
SEGMENTERS = ("unetpp", "deeplabv3plus")
SMALL = {
    "deeplabv3plus": {"encoder": "resnet34"},
    "efficientnet": {"variant": "tf_efficientnet_b0"},
    "vit": {"variant": "vit_small_patch16_224"},
    "swint": {"variant": "swin_tiny_patch4_window7_224"},
}
# multiple, minimum: what the libraries' own layers allow
SIZES = {
    "unetpp": (32, 32),
    "deeplabv3plus": (16, 32),
    "inceptionv3": (1, 75),
    "efficientnet": (1, 32),
    "vit": (16, 32),
    "swint": (32, 32),
}
NAMES = pytest.mark.parametrize("name", MODULES)


def make(name, *, image_size=96, n_seg=2, n_cls=3, **options):
    build = MODULES[name].build
    return build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **options)


def output(prediction):
    """The one output of a single-task method."""
    (tensor,) = (x for x in prediction if x is not None)
    return tensor


@pytest.fixture(scope="module", params=MODULES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name):
    """One small network of each kind for the tests that only read it, in evaluation mode."""
    torch.manual_seed(1)
    return make(name, **SMALL.get(name, {})).eval()


@NAMES
@pytest.mark.parametrize("size", [96, 128, 224, 512])
def test_output_shapes(name, size):
    with torch.device("meta"):
        prediction = make(name, image_size=size, n_seg=3, n_cls=5)(torch.empty(2, 3, size, size))
    assert isinstance(prediction, Prediction)
    if name in SEGMENTERS:
        assert prediction.segmentation.shape == (2, 4, size, size)
        assert prediction.classification is None
    else:
        assert prediction.segmentation is None
        assert prediction.classification.shape == (2, 5)


@pytest.mark.parametrize("name", ["unetpp", "deeplabv3plus", "inceptionv3", "efficientnet"])
def test_convolutional_networks_take_other_and_oblong_images(name):
    with torch.device("meta"):
        prediction = make(name, image_size=224)(torch.empty(2, 3, 96, 160))
    expected = (2, 3, 96, 160) if name in SEGMENTERS else (2, 3)
    assert output(prediction).shape == expected


@NAMES
def test_the_smallest_size_works_in_training_and_the_next_smaller_is_refused(name):
    module = MODULES[name]
    multiple, minimum = SIZES[name]
    assert (multiple, minimum) == (module.SIZE_MULTIPLE, module.MINIMUM_SIZE)
    with torch.device("meta"):
        network = make(name, image_size=minimum).train()
        assert len(output(network(torch.empty(2, 3, minimum, minimum)))) == 2
    small = minimum - multiple
    pixels = f"{name}: an image of {small}×{small} pixels does not work.*at least {minimum}"
    with pytest.raises(ValueError, match=pixels):
        make(name, image_size=small)


@pytest.mark.parametrize("name", [name for name, (multiple, _) in SIZES.items() if multiple > 1])
def test_sizes_between_the_multiples_are_refused(name):
    multiple = SIZES[name][0]
    message = f"{name}: .*{96 + 8}×{96 + 8} pixels does not work.*multiples of {multiple}, at least"
    with pytest.raises(ValueError, match=message):
        make(name, image_size=96 + 8)


def test_a_wrong_size_in_forward_is_refused(name, network):
    with pytest.raises(ValueError, match=f"{name}: an image of 8×96 pixels does not"):
        network(torch.rand(1, 3, 8, 96))
    if name in ("vit", "swint"):
        with pytest.raises(ValueError, match=r"128×128 pixels does not fit .* built for 96×96"):
            network(torch.rand(1, 3, 128, 128))


@NAMES
def test_the_task_that_the_method_does_is_required_and_the_other_ignored(name):
    own, other = ("n_seg", "n_cls") if name in SEGMENTERS else ("n_cls", "n_seg")
    for wrong in (None, 0):
        with pytest.raises(ValueError, match=f"{name}: {own} is {wrong}; .* needs 1 or more"):
            make(name, **{own: wrong})
    with torch.device("meta"):
        with_other, without = make(name, **{other: 7}), make(name, **{other: None})
    assert with_other.state_dict().keys() == without.state_dict().keys()


@NAMES
def test_unknown_options_are_refused(name):
    with pytest.raises(TypeError, match="depth"):
        make(name, depth=3)
    key = "encoder" if name in SEGMENTERS else "variant"
    if name != "inceptionv3":
        with pytest.raises(ValueError, match=f"{name}: {key} is 'huge'; choose one of "):
            make(name, **{key: "huge"})


def test_an_output_stride_without_a_network_is_refused():
    with pytest.raises(ValueError, match="output_stride is 4; choose one of 16, 8"):
        make("deeplabv3plus", output_stride=4)


def test_dilations_are_those_asked_for():
    def dilations(**options):
        with torch.device("meta"):
            network = make("deeplabv3plus", **options)
        pyramid = network.network.decoder.aspp
        return [m.dilation[0] for m in pyramid.modules() if is_dilated(m)]

    def is_dilated(module):
        return isinstance(module, nn.Conv2d) and module.dilation[0] > 1

    assert dilations() == [6, 12, 18]
    assert dilations(atrous_rates=(2, 3, 4)) == [2, 3, 4]


def test_regularisation_is_the_documented_one():
    with torch.device("meta"):
        assert make("inceptionv3").network.head_drop.p == 0.5
        assert make("inceptionv3", drop_rate=0.1).network.head_drop.p == 0.1
        net = make("efficientnet").network
        assert net.drop_rate == 0.3
        assert max(drop_paths(net)) == pytest.approx(0.2, abs=0.02)
        assert max(drop_paths(make("swint").network)) == pytest.approx(0.1)
        assert not drop_paths(make("vit").network)


def drop_paths(network):
    return [m.drop_prob for m in network.modules() if type(m).__name__ == "DropPath"]


def test_gradient_reaches_every_parameter(name):
    options = SMALL.get(name, {})
    if name in ("efficientnet", "swint"):
        options = options | {"drop_path_rate": 0.0}
    torch.manual_seed(0)
    network = make(name, **options).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = output(network(torch.rand(4, 3, 96, 96)))
    (logits.float() - 0.5).square().sum().backward()
    untouched = {key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not untouched
    assert all(p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
def test_evaluation_is_deterministic_and_image_by_image(network):
    image = torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    both, again, alone = (output(network(x)) for x in (image, image, image[1:2]))
    assert torch.equal(both, again)
    assert relative_error(alone, both[1:2]) < 5e-5


@torch.no_grad()
def test_channels_last_and_bfloat16_agree_with_float32(network):
    image = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    exact = output(network(image))
    last = image.contiguous(memory_format=torch.channels_last)
    assert relative_error(output(network(last)), exact) < 5e-5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = output(network(last))
    # bfloat16 keeps 8 bits, 0.4 % a rounding, and up to a hundred layers lie in a row.
    assert relative_error(rounded, exact) < 0.1


def relative_error(value, exact):
    return ((value.float() - exact).norm() / exact.norm()).item()


@torch.no_grad()
def test_weights_carry_over_to_a_network_of_another_seed(name, network):
    image = torch.rand(2, 3, 96, 96)
    torch.manual_seed(99)
    other = make(name, **SMALL.get(name, {})).eval()
    assert not torch.equal(output(network(image)), output(other(image)))
    other.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(output(network(image)), output(other(image)))
