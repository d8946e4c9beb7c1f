"""Weights that a run starts from: a file, or a name of timm's hub, fitted into the network.

A published encoder has other names than the same encoder inside a method (`layer1.0.conv1` against
`network.encoder.layer1.0.conv1`), and its head fits another task. So the one renaming of prefixes
is sought that fits most weights by name and shape; what fits is copied, what does not keeps its
random weights, and both are reported.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from workflow.base.errors import DataError
from workflow.base.files import sha256
from workflow.networks.weights_file import read_weights, refuse_unusable

# Deeper than this no method keeps a published encoder.
PREFIX_DEPTH = 4
# A smaller share of the given tensors fits by accident: a layer here and there has the same name.
SMALLEST_SHARE = 0.2


class Match(NamedTuple):
    """How given weights fit a network.

    Attributes:
        names: name in the network -> name in the given weights, of the same shape.
        other_shape: names that both have, with different shapes.
        left_random: names of the network that got nothing.
    """

    names: dict[str, str]
    other_shape: list[str]
    left_random: list[str]


def start_from(network: nn.Module, pretrained: str) -> str | dict[str, Any]:
    """Copy what fits of the configured weights into a network.

    Args:
        network: freshly initialised; changed in place.
        pretrained: `none`, `hub:` and a name of timm's hub, or the path of a file.

    Returns:
        What run.json says of the initial weights: `random`, or the source, its hash, how many
        tensors matched, which (name in the network -> name in the weights), and which did not.

    Raises:
        DataError: the weights cannot be read or downloaded, or nothing of them fits.
    """
    if pretrained == "none":
        return "random"
    if pretrained.startswith("hub:"):
        kind, given, digest = "hub", _from_hub(pretrained.removeprefix("hub:")), None
    else:
        kind, given, digest = "file", read_weights(Path(pretrained)), sha256(Path(pretrained))
    found = copy_matching(network, given, pretrained)
    total = len(found.names) + len(found.left_random)
    sys.stderr.write(
        f"weights of {pretrained}: {len(found.names)} of the network's {total} tensors start from "
        f"them; random: {_some(found.left_random)}"
        + (f"; of another shape: {_some(found.other_shape)}" if found.other_shape else "")
        + "\n"
    )
    return {
        "kind": kind,
        "source": pretrained,
        "sha256": digest,
        "matched": len(found.names),
        "tensors": total,
        "other_shape": found.other_shape,
        "left_random": found.left_random,
        "copied": found.names,
    }


def copy_matching(network: nn.Module, given: Mapping[str, Tensor], source: str) -> Match:
    """Copy the weights that fit into a network.

    Raises:
        DataError: next to none fits (says some names of both sides), or what fits holds numbers
            that are not finite.
    """
    own = network.state_dict()
    found = match(own, given)
    if len(found.names) < SMALLEST_SHARE * len(given):
        raise DataError(
            f"{source}: {len(found.names)} of these {len(given)} tensors fit the network by name "
            f"and shape, too few to be meant for it; they are {_some(list(given))}; the network "
            f"has {_some(list(own))}"
        )
    refuse_unusable(source, own, given, found.names)
    with torch.no_grad():
        for name, theirs in found.names.items():
            own[name].copy_(given[theirs])
    return found


def match(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Match:
    """Find the renaming of one prefix that fits most of the weights, counted in numbers.

    Args:
        own: the network's tensors by name.
        given: the weights' tensors by name.
    """
    own = {k: v for k, v in own.items() if not k.endswith("num_batches_tracked")}
    best: tuple[int, int, dict[str, str], list[str]] = (0, 0, {}, [])
    for old in _prefixes(given):
        names = {k.removeprefix(old): k for k in given if k.startswith(old)}
        for new in _prefixes(own):
            pairs = {new + k: k_given for k, k_given in names.items() if new + k in own}
            fits = {k: g for k, g in pairs.items() if own[k].shape == given[g].shape}
            size = sum(own[k].numel() for k in fits)
            # Of equal fits the one that renames least.
            if (size, -len(old + new)) > best[:2]:
                best = (size, -len(old + new), fits, [k for k in pairs if k not in fits])
    return Match(best[2], best[3], [k for k in own if k not in best[2]])


def _prefixes(names: Mapping[str, Tensor]) -> list[str]:
    """The empty prefix, and every `a.`, `a.b.`, ... that some names begin with."""
    found = dict.fromkeys([""])
    for name in names:
        parts = name.split(".")[:-1]
        for depth in range(1, min(len(parts), PREFIX_DEPTH) + 1):
            found[".".join(parts[:depth]) + "."] = None
    return list(found)


def _from_hub(name: str) -> dict[str, Tensor]:
    import timm

    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:
        raise DataError(
            f"hub:{name}: these weights could not be had ({error}); the name must be one of "
            "timm.list_pretrained(), and the machine must reach the hub; or download them "
            "elsewhere and name the file"
        ) from error


def _some(names: list[str]) -> str:
    """The first few of a list of names, and how many more there are."""
    shown = ", ".join(names[:4]) or "nothing"
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
