"""ResFormer as a method: sizes, options, gradients, precision, weights, and what it imports."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resformer import model, released
from resformer.attention import WindowAttention
from resformer.initialisation import initialise
from resformer.prediction import Prediction

LITERAL = {"conv_depths": (1, 1, 1, 1)}
NETWORKS = {
    "sequential": (model.build, {"mode": "sequential"}),
    "parallel": (model.build, {"mode": "parallel"}),
    "released_sequential": (released.build, {"mode": "sequential"}),
    "released_parallel": (released.build, {"mode": "parallel"}),
}


def make(name, *, image_size=32, n_seg=2, n_cls=3, **options):
    build, fixed = NETWORKS[name]
    return build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **fixed, **options)


@pytest.fixture(scope="module", params=NETWORKS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def network(kind):
    """One network of each kind for the tests that only read it, in evaluation mode."""
    torch.manual_seed(1)
    return make(kind, image_size=48).eval()


def relative_error(value, exact):
    return ((value.float() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("image_size", "height", "width", "n_seg", "n_cls"),
    [
        (512, 512, 512, 3, 3),
        (224, 224, 224, 1, 3),
        (96, 96, 96, 3, 2),
        (32, 32, 32, 1, 1),
        (512, 496, 1024, 3, 3),
        (96, 32, 80, 2, 5),
        (224, 64, 48, 1, 3),
    ],
)
def test_output_shapes(name, image_size, height, width, n_seg, n_cls):
    with torch.device("meta"):
        network = make(name, image_size=image_size, n_seg=n_seg, n_cls=n_cls)
        prediction = network(torch.empty(2, 3, height, width))
    assert isinstance(prediction, Prediction)
    assert prediction.segmentation.shape == (2, n_seg + 1, height, width)
    assert prediction.classification.shape == (2, n_cls)


@settings(max_examples=8, deadline=None)
@given(
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    window=st.none() | st.integers(1, 9),
    name=st.sampled_from(list(NETWORKS)),
)
def test_any_multiple_of_sixteen_with_any_window(height, width, window, name):
    with torch.device("meta"):
        network = make(name, image_size=64, window_size=window)
        prediction = network(torch.empty(1, 3, 16 * height, 16 * width))
    assert prediction.segmentation.shape == (1, 3, 16 * height, 16 * width)


def test_single_task_networks_leave_the_other_task_out():
    image = torch.rand(1, 3, 32, 32)
    for name in NETWORKS:
        with torch.device("meta"):
            cls_only, seg_only = make(name, n_seg=None), make(name, n_cls=None)
            assert cls_only(image.to("meta")).segmentation is None
            assert seg_only(image.to("meta")).classification is None
        assert {key.split(".")[0] for key in cls_only.state_dict()} == {
            "encoder",
            "classification",
        }
        assert {key.split(".")[0] for key in seg_only.state_dict()} == {"encoder", "segmentation"}


def test_default_window_makes_level_four_one_window():
    for size, window in ((512, 32), (224, 14), (96, 6)):
        with torch.device("meta"):
            network = make("sequential", image_size=size, **LITERAL)
        windows = {m.window for m in network.modules() if isinstance(m, WindowAttention)}
        assert windows == {window}


# --- refusals -----------------------------------------------------------------------------------
@pytest.mark.parametrize("build", [model.build, released.build])
@pytest.mark.parametrize("size", [100, 16, 0, 33])
def test_a_wrong_image_size_is_refused_by_name(build, size):
    message = rf"resformer.*{size}×{size} pixels.*multiples of 16, at least 32 pixels"
    with pytest.raises(ValueError, match=message):
        build(image_size=size, n_seg=1, n_cls=1)


def test_a_wrong_size_in_forward_is_refused_the_same_way(network):
    message = r"resformer.*48×40 pixels.*multiples of 16, at least 32 pixels"
    with pytest.raises(ValueError, match=message):
        network(torch.rand(1, 3, 48, 40))
    with pytest.raises(ValueError, match="16×48 pixels"):
        network(torch.rand(1, 3, 16, 48))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "serial"}, r"mode is 'serial'; choose one of sequential, parallel"),
        ({"upsample": "nearest"}, r"upsample is 'nearest'; choose one of bilinear, transposed"),
        ({"cls_activation": "gelu"}, r"cls_activation is 'gelu'; choose one of none, relu"),
        ({"cls_norm": "bn"}, r"cls_norm is 'bn'; choose one of none, bn_relu"),
        ({"conv_depths": (3, 4, 6)}, r"conv_depths is \(3, 4, 6\); it must be 4 numbers"),
        ({"conv_depths": (3, 0, 6, 3)}, r"conv_depths is \(3, 0, 6, 3\); .* at least 1"),
        ({"window_size": 0}, r"window_size is 0; it must be 1 or more"),
        ({"drop_path": 1.0}, r"drop_path is 1.0; it must lie in \[0, 1\)"),
        ({"n_seg": None, "n_cls": None}, r"n_seg and n_cls are both None"),
        ({"n_seg": 0}, r"n_seg is 0; this method needs 1 or more"),
        ({"n_cls": -1}, r"n_cls is -1; this method needs 1 or more"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    arguments = {"image_size": 32, "n_seg": 1, "n_cls": 1} | options
    with torch.device("meta"), pytest.raises(ValueError, match=f"resformer: {message}"):
        model.build(**arguments)
    if set(options) <= {"mode", "window_size", "drop_path", "n_seg", "n_cls"}:
        with torch.device("meta"), pytest.raises(ValueError, match="resformer"):
            released.build(**arguments)


@pytest.mark.parametrize("build", [model.build, released.build])
def test_unknown_options_and_missing_arguments_are_type_errors(build):
    with pytest.raises(TypeError, match="windows"):
        build(image_size=32, n_seg=1, n_cls=1, windows=4)
    with pytest.raises(TypeError, match="n_cls"):
        build(image_size=32, n_seg=1)


# --- training -----------------------------------------------------------------------------------
@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_every_parameter(name, upsample):
    options = {}
    if not name.startswith("released"):
        options = {"upsample": upsample, **LITERAL}
    elif upsample == "transposed":
        options = {"window_size": 3}  # the released network has no such option: pad instead
    torch.manual_seed(0)
    network = make(name, drop_path=0.0, **options).train()
    prediction = network(torch.rand(2, 3, 32, 48))
    loss = prediction.segmentation.square().mean() + prediction.classification.square().mean()
    loss.backward()
    untouched = {key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not untouched
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_without_a_task_its_parameters_are_gone_and_all_others_learn():
    for tasks in ({"n_seg": None}, {"n_cls": None}, {"dfe": False}):
        network = make("parallel", drop_path=0.0, **tasks, **LITERAL).train()
        outputs = [x for x in network(torch.rand(2, 3, 32, 32)) if x is not None]
        sum(x.square().mean() for x in outputs).backward()
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_training_drops_paths_and_evaluation_does_not():
    network = make("parallel", n_seg=None, drop_path=0.9, **LITERAL)
    image = torch.rand(4, 3, 32, 32)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    first, second = network(image), network(image)
    assert not torch.equal(first.classification, second.classification)
    network.eval()
    assert torch.equal(network(image).classification, network(image).classification)


# --- evaluation ---------------------------------------------------------------------------------
@torch.no_grad()
def test_evaluation_is_deterministic_and_image_by_image(network):
    image = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    both, again, alone = (network(x)[:2] for x in (image, image, image[1:2]))
    for whole, repeated, single in zip(both, again, alone, strict=True):
        assert torch.equal(whole, repeated)
        assert relative_error(single, whole[1:2]) < 5e-5


@torch.no_grad()
def test_channels_last_changes_nothing_but_memory(network):
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    plain = network(image)[:2]
    other = network(image.contiguous(memory_format=torch.channels_last))[:2]
    for one, two in zip(plain, other, strict=True):
        assert relative_error(two, one) < 5e-5


@torch.no_grad()
def test_bfloat16_agrees_with_float32(network):
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    exact = network(image)[:2]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(image)[:2]
    for one, two in zip(exact, rounded, strict=True):
        assert two.dtype == torch.bfloat16
        # bfloat16 keeps 8 bits, 0.4 % a rounding, and some forty layers lie in a row; over seeds
        # and networks the difference was 0.4 % to 6 %.
        assert relative_error(two, one) < 0.1


@torch.no_grad()
def test_weights_carry_over_to_a_network_of_another_seed(kind, network):
    image = torch.rand(1, 3, 32, 32)
    torch.manual_seed(99)
    other = make(kind, image_size=48).eval()
    assert not torch.equal(other(image).classification, network(image).classification)
    other.load_state_dict(network.state_dict(), strict=True)
    for one, two in zip(network(image)[:2], other(image)[:2], strict=True):
        assert torch.equal(one, two)


def test_the_weights_hold_parameters_and_norm_statistics_only(network):
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    names = {key for key, _ in network.named_parameters()}
    rest = set(network.state_dict()) - names
    assert rest
    assert all(key.endswith(statistics) for key in rest)


# --- initial weights ----------------------------------------------------------------------------
def test_initial_weights_follow_the_stated_rules(network):
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 20_000:
            out, _, height, width = module.weight.shape
            expected = math.sqrt(2 / (out * height * width))
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05)
        elif isinstance(module, nn.ConvTranspose2d):
            expected = math.sqrt(2 / (module.out_channels * 4))
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            assert module.weight.eq(1).all()
        elif isinstance(module, WindowAttention):
            assert module.bias_table.std().item() == pytest.approx(0.02, rel=0.3)
            assert module.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if module is not network.segmentation.head and isinstance(
            getattr(module, "bias", None), torch.Tensor
        ):
            assert module.bias.eq(0).all()
    head = network.classification
    assert head.fc1.weight.std().item() == pytest.approx(math.sqrt(2 / (768 + 32)), rel=0.05)
    assert head.fc2.weight.std().item() == pytest.approx(math.sqrt(2 / (32 + 3)), rel=0.3)


def test_the_segmentation_head_keeps_torch_s_default(network):
    # Uniform within 1 / sqrt(fan-in), where the rule for convolutions would have a standard
    # deviation of sqrt(2 / 3) for these three outputs.
    head, bound = network.segmentation.head, 64**-0.5
    assert head.weight.abs().max().item() <= bound
    assert head.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    if head.bias is not None:
        assert 0 < head.bias.abs().max().item() <= bound


def test_heads_are_what_they_were_made_and_the_rest_is_drawn_in_order():
    def make_parts():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.Linear(4, 2)))

    made, drawn = make_parts(), make_parts()
    initialise(drawn, heads=(drawn[1], None))
    for key, value in made[1].state_dict().items():
        assert torch.equal(value, drawn[1].state_dict()[key])
    make_parts()
    nn.init.kaiming_normal_(made[0].weight, mode="fan_out", nonlinearity="relu")
    assert torch.equal(made[0].weight, drawn[0].weight)
    whole = make_parts()
    initialise(whole, heads=())
    assert torch.equal(whole[0].weight, drawn[0].weight)
    assert not whole[1][1].bias.any()


def test_the_seed_decides_the_initial_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return make("sequential", n_seg=None, **LITERAL).state_dict()

    one, same, other = weights(4), weights(4), weights(5)
    assert all(torch.equal(one[key], same[key]) for key in one)
    drawn = [key for key in one if one[key].dim() > 1]
    assert not any(torch.equal(one[key], other[key]) for key in drawn)


def test_importing_the_network_imports_torch_and_nothing_heavy_beside_it():
    program = (
        "import sys, resformer\n"
        "assert 'torch' not in sys.modules\n"
        "import resformer.model, resformer.released\n"
        "heavy = {'timm', 'torchvision', 'segmentation_models_pytorch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_size_constants_are_those_of_the_check():
    for module in (model, released):
        assert (module.SIZE_MULTIPLE, module.MINIMUM_SIZE) == (16, 32)
