"""Initial weights from a file: what fits is copied, what does not is named, nothing is guessed."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from workflow.base.errors import DataError
from workflow.config.load import load_config
from workflow.networks.build import build_network
from workflow.networks.pretrained import match, start_from
from workflow.networks.weights_file import read_weights


def encoder(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, width, 3))


class Method(nn.Module):
    """An encoder under another name, and a head of its own."""

    def __init__(self, width=4):
        super().__init__()
        self.network = nn.ModuleDict({"encoder": encoder(width), "head": nn.Linear(width, 3)})


@pytest.fixture
def published(tmp_path):
    """Weights of the encoder as published: names of their own, and a head for another task."""
    torch.manual_seed(1)
    weights = {f"body.{k}": v for k, v in encoder().state_dict().items()}
    weights["fc.weight"] = torch.randn(1000, 4)
    file = tmp_path / "published.safetensors"
    save_file(weights, file)
    return file, weights


def test_what_fits_is_copied_under_its_new_name(published, capsys):
    file, weights = published
    method = Method()
    head = method.network["head"].weight.detach().clone()
    said = start_from(method, str(file))
    for name, value in weights.items():
        if name.startswith("body") and "num_batches" not in name:
            own = method.state_dict()[name.replace("body", "network.encoder")]
            assert torch.equal(own, value)
    assert torch.equal(method.network["head"].weight, head)
    assert (said["kind"], said["matched"], said["tensors"]) == ("file", 8, 10)
    assert said["left_random"] == ["network.head.weight", "network.head.bias"]
    assert len(said["sha256"]) == 64
    assert said["copied"]["network.encoder.0.weight"] == "body.0.weight"
    assert len(said["copied"]) == 8
    assert "8 of the network's 10 tensors" in capsys.readouterr().err


def test_a_tensor_of_another_shape_is_named_and_left_random(tmp_path):
    weights = Method().state_dict() | {"network.head.weight": torch.zeros(7, 4)}
    file = tmp_path / "own.pth"
    torch.save({"state_dict": weights}, file)
    said = start_from(Method(), str(file))
    assert said["other_shape"] == ["network.head.weight"]
    assert said["left_random"] == ["network.head.weight"]
    assert said["matched"] == 9


def test_the_renaming_that_fits_most_wins():
    small = {"a.w": torch.zeros(2), "b.w": torch.zeros(3), "b.v": torch.zeros(5)}
    given = {"w": torch.zeros(3), "v": torch.zeros(5)}
    assert match(small, given).names == {"b.w": "w", "b.v": "v"}
    assert match(small, small).names == {k: k for k in small}


def test_weights_that_fit_nowhere_are_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    save_file({"x.y": torch.zeros(77)}, file)
    with pytest.raises(DataError, match=r"0 of these 1 tensors fit.*x\.y.*network\.encoder"):
        start_from(Method(), str(file))


def test_a_layer_that_fits_by_accident_is_not_enough(tmp_path):
    file = tmp_path / "other.safetensors"
    weights = {f"other.{i}.weight": torch.zeros(5, i + 1) for i in range(30)}
    save_file(weights | {"head.weight": torch.zeros(3, 4)}, file)
    with pytest.raises(DataError, match=r"1 of these 31 tensors fit.*too few"):
        start_from(Method(), str(file))


def test_files_that_are_no_weights_are_refused(tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("no weights")
    with pytest.raises(DataError, match="cannot be read"):
        read_weights(text)
    with pytest.raises(DataError, match="cannot be read"):
        read_weights(tmp_path / "absent.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(DataError, match="holds no named tensors"):
        read_weights(tmp_path / "empty.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    file = tmp_path / "evil.pth"
    torch.save({"state_dict": Evil()}, file)
    with pytest.raises(DataError, match="cannot be read"):
        read_weights(file)


def test_a_hub_that_cannot_be_reached_says_what_to_do(monkeypatch):
    import timm

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(DataError, match=r"hub:vit: .*no network.*name the file"):
        start_from(Method(), "hub:vit")


def test_none_is_random():
    assert start_from(Method(), "none") == "random"


@pytest.mark.parametrize(
    ("method", "hub_name", "own_only"),
    [
        ("unetpp", "resnet34", ("decoder", "segmentation_head")),
        ("gende", "densenet121", ("decoder", "segmentation", "classification", "head")),
        ("efficientnet", "tf_efficientnet_b3", ("classifier",)),
    ],
)
def test_a_library_s_encoder_fits_the_methods_that_use_it(method, hub_name, own_only, tmp_path):
    import timm

    # As downloaded: the whole classifier of 1,000 classes, under timm's names.
    file = tmp_path / "hub.safetensors"
    save_file(timm.create_model(hub_name).state_dict(), file)
    entry = load_config().methods[method]
    network = build_network(entry, image_size=96, n_seg=1, n_cls=3)
    said = start_from(network, str(file))
    assert said["left_random"]
    assert all(any(part in name for part in own_only) for name in said["left_random"])
    assert not any("encoder" in name for name in said["left_random"])
