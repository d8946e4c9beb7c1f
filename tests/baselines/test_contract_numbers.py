"""What every compared method computes: gradients, formats, determinism, graph capture.

ResFormer's networks have the like in `tests/resformer`.
"""

import pytest
import torch
from safetensors.torch import load, save

from tests.baselines.methods import COMPARED, CONFIG, build, outputs, quieten, size_at_least
from workflow.networks.anchors import load_anchors

# Relative error of a forward pass in bfloat16, whose numbers have 8 bits (0.4 % a rounding), up to
# two hundred layers in a row.
BF16_TOLERANCE = 0.08
FLOAT_TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=COMPARED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def size(name):
    return size_at_least(name, 64)


@pytest.fixture(scope="module")
def network(name, size):
    """A fresh network, for the tests that leave it as it is."""
    torch.manual_seed(1)
    return build(name, size).eval()


def images(count, size, seed=2):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def relative_error(value, exact):
    return ((value.float() - exact).norm() / exact.norm()).item()


@torch.no_grad()
def test_evaluation_is_deterministic_and_image_by_image(network, size):
    batch = images(3, size)
    for both, again, alone in zip(
        *(outputs(network(x)) for x in (batch, batch, batch[1:2])), strict=True
    ):
        assert both.isfinite().all()
        assert torch.equal(both, again)
        assert relative_error(alone, both[1:2]) < FLOAT_TOLERANCE


@torch.no_grad()
def test_layouts_and_bfloat16_agree_with_float32(network, size):
    batch = images(2, size)
    last = batch.contiguous(memory_format=torch.channels_last)
    exact = outputs(network(batch))
    in_layout = outputs(network(last))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = outputs(network(last))
    for value, other, low in zip(exact, in_layout, rounded, strict=True):
        assert relative_error(other, value) < FLOAT_TOLERANCE
        assert relative_error(low, value) < BF16_TOLERANCE


@torch.no_grad()
def test_torch_compile_takes_it_as_one_graph(name, network, size):
    anchors = load_anchors(name)
    torch._dynamo.reset()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    if anchors is not None and anchors.compile != "full":
        with pytest.raises(Exception, match=r"."):
            compiled(images(1, size))
        return
    for value, exact in zip(
        *(outputs(f(images(1, size))) for f in (compiled, network)), strict=True
    ):
        assert relative_error(value, exact) < FLOAT_TOLERANCE


@torch.no_grad()
def test_equal_seeds_give_equal_weights_and_others_do_not(name, network, size):
    own = network.state_dict()
    torch.manual_seed(1)
    same = build(name, size).state_dict()
    assert all(torch.equal(own[key], same[key]) for key in own)
    other = build(name, size)
    first = next(key for key, value in own.items() if value.is_floating_point() and value.std() > 0)
    assert not torch.equal(own[first], other.state_dict()[first])
    # What is saved of a run is all that its outputs depend on.
    other.load_state_dict(load(save({k: v.contiguous() for k, v in own.items()})))
    batch = images(1, size)
    for value, exact in zip(*(outputs(f(batch)) for f in (other.eval(), network)), strict=True):
        assert torch.equal(value, exact)


def unreached(network, size, task):
    """Names of the parameters that no gradient of one output reaches, in two batches."""
    quieten(network.train())
    for seed in (3, 4):
        logits = getattr(network(images(4, size, seed)), task)
        generator = torch.Generator().manual_seed(seed)
        (logits * torch.randn(logits.shape, generator=generator)).sum().backward()
    grads = {key: p.grad for key, p in network.named_parameters()}
    assert all(grad is None or grad.isfinite().all() for grad in grads.values())
    return {key for key, grad in grads.items() if grad is None or not grad.any()}


def missed_parameters(name, size, options, task, expected):
    """How many parameters a task's gradient misses.

    A ReLU can be closed by chance when a network is born, so what one seed misses may be reached
    with another.
    """
    missed = None
    for seed in range(6):
        torch.manual_seed(seed)
        network = build(name, size, n_seg=3, **options)
        sizes = {key: p.numel() for key, p in network.named_parameters()}
        found = unreached(network, size, task)
        missed = found if missed is None else missed & found
        if sum(sizes[key] for key in missed) <= expected:
            break
    return sum(sizes[key] for key in missed)


def test_gradients_reach_as_far_as_they_should(name, size):
    anchors, tasks = load_anchors(name), CONFIG.methods[name].tasks
    if anchors is None or not anchors.reach:  # nothing on record: some task needs each parameter
        torch.manual_seed(0)
        missed = [unreached(build(name, size), size, task) for task in tasks]
        assert not set.intersection(*missed)
        return
    for case in anchors.reach:
        for task in tasks:
            expected = getattr(case, task) or 0
            found = missed_parameters(name, case.image_size, case.options, task, expected)
            assert found == expected, f"{task}, {case}"
