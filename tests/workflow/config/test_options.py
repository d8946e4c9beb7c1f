"""Options of networks have the types of their module's `build`, without importing it."""

import importlib
import inspect
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from tests.workflow.config.config_changes import changed
from workflow.base.errors import ConfigError
from workflow.config import options
from workflow.config.options import NotPython, options_of
from workflow.running import fingerprint


def given(method: str, **values: Any) -> dict[str, Any]:
    return changed({"methods": {method: {"options": values}}}).methods[method].options


@pytest.mark.parametrize(
    ("method", "option", "value", "taken"),
    [
        ("efficientnet", "drop_rate", "1e-1", 0.1),  # as YAML keeps it, and the command line
        ("efficientnet", "drop_rate", 0, 0),
        ("resformer_par", "dfe", "false", False),
        ("resformer_par", "window_size", None, None),
        ("resformer_par", "window_size", "8", 8),
        ("resformer_par", "conv_depths", ["3", 4, 6, 3], [3, 4, 6, 3]),
        ("deeplabv3plus", "atrous_rates", [6, 12, 18], [6, 12, 18]),
        ("deeplabv3plus", "output_stride", 8, 8),
    ],
)
def test_a_value_has_its_type(method, option, value, taken):
    found = given(method, **{option: value})[option]
    assert found == taken
    assert type(found) is type(taken)


def test_a_learning_rate_of_the_same_form_works():
    config = changed({"methods": {"unetpp": {"training": {"learning_rate": "1e-3"}}}})
    assert config.training_for("isic2017", "unetpp").learning_rate == 0.001


@pytest.mark.parametrize(
    ("method", "option", "value", "said"),
    [
        ("efficientnet", "drop_rate", "lots", "Input should be a valid number"),
        ("efficientnet", "drop_rate", True, "Input should be a valid number"),
        ("efficientnet", "drop_rate", float("nan"), "Input should be a finite number"),
        ("efficientnet", "drop_rate", [0.1], "Input should be a valid number"),
        ("efficientnet", "variant", "b3", "Input should be 'tf_efficientnet_b3', "),
        ("resformer_par", "window_size", 7.5, "Input should be a valid integer"),
        ("resformer_par", "window_size", True, "Input should be a valid integer"),
        ("resformer_par", "dfe", "perhaps", "Input should be a valid boolean"),
        ("resformer_par", "mode", "both", "Input should be 'sequential' or 'parallel'"),
        ("resformer_par", "conv_depths", 3, "Input should be an instance of Sequence"),
        ("deeplabv3plus", "atrous_rates", [6, 12], "Field required"),
        ("deeplabv3plus", "output_stride", 4, "Input should be 16 or 8"),
    ],
)
def test_another_value_is_refused_when_the_configuration_is_read(method, option, value, said):
    where = rf"methods\.{method}\.options\.{option}: found .*; {said}"
    with pytest.raises(ConfigError, match=where):
        given(method, **{option: value})


def test_the_options_of_the_authors_recipe_are_checked_as_well():
    native = {"source": "x", "training": {}, "options": {"drop_rate": "many"}}
    with pytest.raises(ConfigError, match=r"methods\.efficientnet\.native\.options\.drop_rate"):
        changed({"methods": {"efficientnet": {"native": native}}})


def test_every_option_of_every_method_has_a_type_and_its_default_is_of_it():
    """What is read from the files is what Python says of the modules."""
    modules = {entry.module for entry in changed({}).methods.values() if entry.module}
    for name in modules:
        build = importlib.import_module(name).build
        file = options.ROOT / f"{name.replace('.', '/')}.py"
        taken = options_of(file)
        assert taken is not None
        named = set(inspect.signature(build).parameters) - options.SIZES
        assert set(taken) == named
        for option, kind in taken.items():
            assert kind is not Any, f"{name}: {option}"
            default = inspect.signature(build).parameters[option].default
            assert options._checked(default, kind) == default


def test_annotations_are_read_in_each_form(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "from baselines.hiformer import Fusion as Kind\n"
        "Own = Literal['a', 1]\n"
        "def build(*, image_size: int, a: 'int | None', b: Own, c: Kind, d: tuple[int, ...],\n"
        "          e: torch.Tensor, f, g: Sequence[float], h: dict[str, bool], i: Unknown): ...\n"
    )
    assert options_of(file) == {
        "a": int | None,
        "b": Literal["a", 1],
        "c": Literal["paper", "head", "release2022"],
        "d": tuple[int, ...],
        "e": Any,
        "f": Any,
        "g": Sequence[float],
        "h": dict[str, bool],
        "i": Any,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef build(:\n", r"net\.py, line 2: not valid Python: .*, found 'def build\(:'"),
        ("x = '\0'\n", r"net\.py.*: not valid Python: .*null byte"),
        (b"x = '\xff'\n", r"net\.py.*: not valid Python: "),
    ],
)
def test_an_error_of_syntax_names_file_and_line(tmp_path, monkeypatch, text, said):
    folder = tmp_path / "own"
    folder.mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "net.py").write_bytes(content)
    with pytest.raises(NotPython, match=said):
        options_of(folder / "net.py")
    monkeypatch.setattr(options, "ROOT", tmp_path)
    entry = {"module": "own.net", "title": "Own", "tasks": ["segmentation"]}
    with pytest.raises(ConfigError, match=rf"methods\.own\.module: .*{said}"):
        changed({"methods": {"own": entry}})


def test_an_error_of_syntax_in_what_a_module_imports_is_named_too(tmp_path, monkeypatch):
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "broken.py").write_text("a = 1\nb = (\n")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    with pytest.raises(ConfigError, match=r"broken\.py, line 2: not valid Python: .*; correct it"):
        fingerprint._read("baselines.broken")
