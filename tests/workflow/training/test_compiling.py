"""The compiled network: the same bits every time, close to the network itself, paid for once."""

import os
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from resformer.prediction import Prediction
from workflow.base.errors import ConfigError
from workflow.config.load import load_config
from workflow.config.training import overlaid
from workflow.networks.device import autocast, computing
from workflow.training import compiling
from workflow.training.compiling import compiled, keep_compiled, missing, options

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """Convolution, batch norm, dropout and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.segment, self.classify = nn.Conv2d(4, 2, 1), nn.Linear(4, 3)

    def forward(self, image):
        features = self.drop(self.body(image))
        return Prediction(self.segment(features), self.classify(features.mean(dim=(2, 3))))


def protocol(**changes):
    return overlaid(load_config().training, {"threads": 1, "compile": "on", **changes})


def network(seed=0):
    torch.manual_seed(seed)
    return Tiny()


def steps(training, seed=0, precision=torch.float32):
    """Outputs and weights of three training steps of two batch sizes, and one in evaluation."""
    model = network(seed)
    forward = compiled(model, training, CPU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    found = []
    torch.manual_seed(seed)
    for size in (4, 4, 2):
        images = torch.rand(size, 3, 8, 8, generator=generator)
        with autocast(CPU, precision):
            prediction = forward(images)
        optimizer.zero_grad()
        (prediction.segmentation.square().mean() + prediction.classification.sum()).backward()
        optimizer.step()
        found += [prediction.segmentation.detach(), prediction.classification.detach()]
    model.eval()
    with torch.no_grad():
        found.append(forward(torch.ones(4, 3, 8, 8)).segmentation)
    return found, model.state_dict()


@pytest.fixture(scope="module")
def runs():
    """Eager once, compiled twice with one seed, then with another; how often it compiled."""
    from torch._dynamo.utils import counters

    with computing(protocol()):
        eager = steps(protocol(compile="off"))
        counters.clear()
        first = steps(protocol())
        paid = counters["stats"]["unique_graphs"]
        again, other = steps(protocol()), steps(protocol(), seed=1)
        return eager, first, again, other, paid, counters["stats"]["unique_graphs"] - paid


def test_compiled_gives_the_same_bits_every_time(runs):
    _, (outputs, weights), (outputs_again, weights_again), *_ = runs
    assert all(map(torch.equal, outputs, outputs_again))
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)


def test_compiled_is_close_to_eager_with_the_same_dropout(runs):
    eager, first, *_ = runs
    torch.testing.assert_close(first[0], eager[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first[1], eager[1], rtol=1e-4, atol=1e-5)
    assert (first[0][0] != first[0][2]).any()


def test_names_in_the_state_are_those_of_the_network(runs):
    assert list(runs[1][1]) == list(network().state_dict())


def test_a_second_seed_compiles_nothing(runs):
    *_, other, paid, later = runs
    assert paid == 3  # two batch sizes, and evaluation
    assert later == 0
    assert not torch.equal(other[0][0], runs[1][0][0])


def test_bf16_is_compiled_too():
    with computing(protocol()):
        eager, _ = steps(protocol(compile="off"), precision=torch.bfloat16)
        fast, _ = steps(protocol(), precision=torch.bfloat16)
    assert fast[0].dtype == torch.bfloat16
    torch.testing.assert_close(fast[0], eager[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("compile_", ["off", "auto"])
def test_on_a_processor_nothing_is_compiled_unless_asked_for(compile_):
    model = network()
    assert compiled(model, protocol(compile=compile_), CPU) is model


def test_without_a_compiler_on_is_refused_and_auto_says_so(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ConfigError, match=r"training\.compile: found on, but no C\+\+ compiler"):
        compiled(network(), protocol(), CPU)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    model = network()
    assert compiled(model, protocol(compile="auto"), torch.device("cuda")) is model
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing(torch.device("cuda")) == "Triton is not installed"


def test_what_is_compiled_for_a_gpu_is_kept_by_its_kind_unless_the_user_says_where(
    monkeypatch, tmp_path
):
    kept = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    for name in kept:
        monkeypatch.delenv(name, raising=False)
    keep_compiled(tmp_path, CPU)
    assert not any(name in os.environ for name in kept)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200/141 GB")
    monkeypatch.setenv("TRITON_CACHE_DIR", "elsewhere")
    keep_compiled(tmp_path, torch.device("cuda"))
    found = Path(os.environ.pop("TORCHINDUCTOR_CACHE_DIR"))
    assert found.parent == tmp_path / "compiled" / f"NVIDIA-H200-141-GB-torch-{torch.__version__}"
    assert os.environ["TRITON_CACHE_DIR"] == "elsewhere"


def test_a_backward_pass_that_does_not_compile_is_met_in_the_forward_pass(monkeypatch, capsys):
    import torch._inductor.compile_fx as inductor

    compile_graph = inductor.fx_codegen_and_compile

    def fails_backward(*graph, **facts):
        if facts.get("is_backward"):
            raise RuntimeError("no such kernel")
        return compile_graph(*graph, **facts)

    def gradient(forward, model):
        torch.manual_seed(0)
        prediction = forward(torch.ones(7, 3, 9, 9))  # a shape that no other test compiles
        prediction.segmentation.sum().backward()
        return model.body[0].weight.grad

    monkeypatch.setattr(inductor, "fx_codegen_and_compile", fails_backward)
    monkeypatch.setattr(compiling, "missing", lambda device: None)
    monkeypatch.setattr(compiling, "options", lambda training, device: options(training, CPU))
    model, plain = network(), network()
    forward = compiled(model, protocol(compile="auto"), torch.device("cuda"))
    assert torch.equal(gradient(forward, model), gradient(plain, plain))
    said = capsys.readouterr().err
    assert "the network is not compiled, as that failed" in said
    assert "no such kernel" in said


def test_auto_goes_on_uncompiled_where_the_compiler_fails(monkeypatch, capsys):
    from torch._dynamo.exc import InternalTorchDynamoError

    def fails(images):
        raise InternalTorchDynamoError("cannot\nlong text")

    monkeypatch.setattr(torch, "compile", lambda model, **_: fails)
    monkeypatch.setattr(compiling, "missing", lambda device: None)
    model = network().eval()
    forward = compiled(model, protocol(compile="auto"), torch.device("cuda"))
    images = torch.rand(2, 3, 8, 8)
    for _ in range(2):
        assert torch.equal(forward(images).segmentation, model(images).segmentation)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot" in said
    with pytest.raises(InternalTorchDynamoError):
        compiled(model, protocol(), torch.device("cuda"))(images)


def test_graphs_only_where_a_forward_pass_has_one_backward_pass():
    cuda = torch.device("cuda")
    assert options(protocol(), cuda)["triton.cudagraphs"]
    assert not options(protocol(optimizer="multi_adaptive"), cuda)["triton.cudagraphs"]
    assert not options(protocol(), CPU)["triton.cudagraphs"]
    assert options(protocol(), cuda)["deterministic"]
    assert not options(protocol(determinism="fast"), cuda)["deterministic"]


def test_a_new_network_frees_the_graphs_of_the_one_before(monkeypatch):
    freed = []
    trees = types.SimpleNamespace(reset_cudagraph_trees=lambda: freed.append(True))
    monkeypatch.setitem(sys.modules, "torch._inductor.cudagraph_trees", trees)
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    monkeypatch.setattr(compiling, "missing", lambda device: None)
    compiled(network(), protocol(), torch.device("cuda"))
    assert freed == [True]


def test_two_backward_passes_of_one_forward_pass():
    """What `multi_adaptive` does: the second reads what the first has to leave alone."""
    training = protocol(optimizer="multi_adaptive")
    images = torch.rand(4, 3, 8, 8)
    with computing(training):
        model = network()
        gradients = []
        for forward in (compiled(model, training, CPU), model):
            torch.manual_seed(0)
            prediction = forward(images)
            model.zero_grad()
            prediction.segmentation.square().mean().backward(retain_graph=True)
            prediction.classification.sum().backward()
            gradients.append([p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)
