"""Files of given weights: the tensors in them, or what is there in their place.

Checkpoints come in many wrappings (`state_dict`, `model`, `net`, `teacher`, ...), so tensors are
looked for in what a file holds. Nothing is opened in a way that could run code.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from workflow.base.errors import DataError

# Where a checkpoint holds several sets of weights, these are the ones that are meant.
USUAL = ("state_dict", "model")
# A state dictionary lies at most so deep in a checkpoint.
DEEPEST = 3
# What a checkpoint saves beside weights, with tensors in it that are none of the network's.
OTHER = re.compile(r"optim|sched|scaler|loss|metric|history|rng|config|args", re.IGNORECASE)
SHOWN = 12  # keys in a message
EXPECTED = "expected a .safetensors file, or a .pth file with a plain state dictionary"
SAVE = "save the tensors alone, by torch.save(model.state_dict(), FILE)"
# What PyTorch says of files that cannot be opened without running code, and what to say for it.
REASONS = {
    r"TorchScript": f"it is a TorchScript archive, which holds a program; {SAVE}",
    r"legacy \.?tar": f"it is of PyTorch's old tar format; open it where it is from, and {SAVE}",
    r"invalid load key|could not find MARK|unpickling stack underflow|Ran out of input": (
        "it is no file that PyTorch saved"
    ),
}


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth file that holds tensors and nothing else.

    Raises:
        DataError: the file is missing, damaged, holds no named tensors or several sets of them, or
            tensors that cannot be copied.
    """
    try:
        content = _content(file)
    except Exception as error:
        raise DataError(
            f"{file}: these weights cannot be read ({_reason(error)}); {EXPECTED}"
        ) from error
    tensors = _state_dict(file, content)
    for name, value in tensors.items():
        if kind := _odd_kind(value):
            raise DataError(
                f"{file}: tensor {name!r} is {kind}, which cannot be copied into a network; "
                "expected a dense tensor of floating point numbers. Convert it (to_dense(), "
                "dequantize()) and save it again"
            )
    return tensors


def _content(file: Path) -> Any:
    """What a file holds, by its suffix."""
    if file.suffix.lower() == ".safetensors":
        return load_file(file)
    with warnings.catch_warnings():
        # What PyTorch warns of is refused, or means nothing to who only names a file.
        warnings.simplefilter("ignore")
        # Without weights_only, opening a pickle could run any code.
        return torch.load(file, map_location="cpu", weights_only=True)


def refuse_unusable(
    source: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor], names: Mapping[str, str]
) -> None:
    """Refuse numbers that are none, and whole numbers where a network learns others.

    Args:
        source: of the weights, for messages.
        own: the network's tensors by name.
        given: the weights' tensors by name.
        names: name in the network -> name in the weights, of the same shape.

    Raises:
        DataError: some of the weights would be copied and cannot be trained from.
    """
    broken: list[str] = []
    for mine, theirs in names.items():
        value, target = given[theirs], own[mine]
        if not target.is_floating_point():
            continue
        if not value.is_floating_point():
            raise DataError(
                f"{source}: tensor {theirs!r} holds {_type(value)}, and the network's {mine} has "
                f"{_type(target)}; expected floating point numbers. Name weights that were not "
                "converted"
            )
        # As they will be in the network: a number that is too large for its type is none there.
        wrong = ~torch.isfinite(value.to(target.dtype))
        if wrong.any() and bool(torch.isfinite(target).all()):
            broken.append(f"{theirs} ({int(wrong.sum())} of {value.numel()})")
    if broken:
        more = f" and {len(broken) - 4} more tensors" if len(broken) > 4 else ""
        raise DataError(
            f"{source}: found numbers that are not finite (NaN or infinity) in "
            f"{', '.join(broken[:4])}{more}; a network that starts from them learns nothing. Name "
            "weights that were saved before the training diverged, or fetch the file again"
        )


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _odd_kind(value: Tensor) -> str:
    """What is odd about how a tensor is stored; empty where nothing is."""
    if value.is_quantized:
        return f"quantised ({_type(value)})"
    if value.is_nested:
        return "nested"
    if value.layout != torch.strided:
        return f"sparse ({str(value.layout).removeprefix('torch.')})"
    if value.is_complex():
        return f"complex ({_type(value)})"
    if value.device.type == "meta":
        return "without content (on the device `meta`)"
    return ""


def _reason(error: Exception) -> str:
    """Why a file cannot be opened, in one line without escape codes.

    PyTorch's own text advises to allow the running of code, which nobody should for a file that
    they were given.
    """
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(error))
    if found := re.search(r"GLOBAL ([\w.]+)", text):
        return f"beside tensors it holds a Python object, {found[1]}, which could run code; {SAVE}"
    for pattern, words in REASONS.items():
        if re.search(pattern, text):
            return words
    if "weights_only" in text or "Weights only" in text:
        return f"it holds something else than tensors, which could run code; {SAVE}"
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    plain = "".join(x for x in first if x.isprintable())[:200].rstrip(". ")
    return plain or type(error).__name__


def _state_dict(file: Path, content: Any) -> dict[str, Tensor]:
    """The named tensors of what a file holds, wherever in it they are."""
    if not isinstance(content, Mapping):
        raise DataError(
            f"{file}: holds no named tensors, but a {type(content).__name__}; expected a state "
            "dictionary"
        )
    if not content:
        raise DataError(f"{file}: holds no named tensors: it is empty; {EXPECTED}")
    found = _candidates(content)
    if not found:
        raise DataError(
            f"{file}: holds no named tensors, but {_keys(content)}; expected a state dictionary"
        )
    chosen = _chosen(found)
    if chosen is None:
        sets = ", ".join(
            f"{'.'.join(path) or 'the file itself'} ({len(_tensors(value))} tensors)"
            for path, value in found.items()
        )
        raise DataError(
            f"{file}: holds several sets of named tensors: {sets}; expected one. Save the one that "
            "is meant, by torch.save(torch.load(FILE)[KEY], NEW)"
        )
    tensors = _tensors(found[chosen])
    nameless = [name for name in tensors if not isinstance(name, str)]
    if nameless:
        where = f" in {'.'.join(chosen)}" if chosen else ""
        raise DataError(
            f"{file}: found a tensor under {nameless[0]!r}{where}, a {type(nameless[0]).__name__} "
            f"({len(nameless)} such tensors); expected names such as 'layer1.0.weight'"
        )
    return tensors


def _tensors(content: Mapping[Any, Any]) -> dict[Any, Tensor]:
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _candidates(
    content: Mapping[Any, Any], path: tuple[str, ...] = ()
) -> dict[tuple[str, ...], Mapping[Any, Any]]:
    """Where in a checkpoint there are dictionaries with tensors -> those dictionaries.

    Lone numbers, such as the best accuracy, are no weights where there are others below, nor is a
    handful of tensors beside a larger dictionary.
    """
    tensors = _tensors(content)
    below: dict[tuple[str, ...], Mapping[Any, Any]] = {}
    for key, value in content.items() if len(path) < DEEPEST else ():
        if isinstance(value, Mapping) and not OTHER.search(str(key)):
            below |= _candidates(value, (*path, str(key)))
    below = {key: value for key, value in below.items() if len(_tensors(value)) >= len(tensors)}
    if not any(value.dim() for value in tensors.values()) and below:
        return below
    return {path: content, **below} if tensors else below


def _chosen(found: Mapping[tuple[str, ...], Any]) -> tuple[str, ...] | None:
    """The one set of tensors, or of several the usual one; None where that cannot be said."""
    if len(found) == 1:
        return next(iter(found))
    for name in USUAL:
        named = [path for path in found if path and path[0] == name]
        if len(named) == 1:
            return named[0]
    return None


def _keys(content: Mapping[Any, Any]) -> str:
    """The keys of a checkpoint and what lies under each."""
    shown = [f"{key!s:.40} ({type(value).__name__})" for key, value in content.items()]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"the keys {', '.join(shown[:SHOWN])}{more}"
