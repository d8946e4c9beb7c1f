"""What each network must count: parameters and FLOPs on record in `anchors/*.yaml`.

A file holds the anchors of one method: where the numbers come from, and cases with the options,
the image size and the outputs they were measured at. A case may anchor single blocks as well, so
that a wrong total shows where it is wrong. Counting runs on the meta device: no memory, no weights.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from workflow.base.files import read_yaml
from workflow.config.sections import Method
from workflow.config.training import Positive, Section
from workflow.networks.build import build_network

FOLDER = Path(__file__).parent / "anchors"


class AnchorCase(Section):
    """One configuration of a network and what it must count.

    Attributes:
        options: options of `build`, beside the method's own.
        n_seg: lesion types (the output has one channel more).
        n_cls: labels.
        parameters: trainable parameters.
        flops: the operations of one forward pass of one image in evaluation, two per
            multiply-add; null where the record has none.
        gmacs: half of that in billions, to one decimal, where the record has no more.
        blocks: dotted names of submodules or parameters, joined by ` + ` -> their parameters.
    """

    options: dict[str, Any] = Field(default_factory=dict)
    image_size: Positive
    n_seg: Positive = 3
    n_cls: Positive = 3
    parameters: Positive
    flops: Positive | None = None
    gmacs: Annotated[float, Field(gt=0)] | None = None
    blocks: dict[str, Positive] = Field(default_factory=dict)


class Reach(Section):
    """How many parameters the gradient of a loss must not reach, dropout off, gates opened.

    Attributes:
        image_size: the size at which it is tested, with three lesion types and three labels.
        options: options of `build`, beside the method's own.
        segmentation: parameters that a segmentation loss never reaches.
        classification: parameters that a classification loss never reaches.
    """

    image_size: Positive
    options: dict[str, Any] = Field(default_factory=dict)
    segmentation: int | None = None
    classification: int | None = None


class Anchors(Section):
    """The anchors of one method.

    Attributes:
        source: the publication or code that the numbers come from.
        cases: configurations and their counts.
        reach: how far gradients get.
        compile: `full` if torch.compile takes the network as one graph; else why it does not.
    """

    source: str
    cases: Annotated[list[AnchorCase], Field(min_length=1)]
    reach: list[Reach] = Field(default_factory=list)
    compile: Literal["full"] | str = "full"


def load_anchors(method: str) -> Anchors | None:
    """The anchors of a method of the configuration; None if nothing is on record.

    Raises:
        pydantic.ValidationError: the file has an unknown key or a wrong value.
    """
    file = FOLDER / f"{method}.yaml"
    if not file.is_file():
        return None
    return Anchors.model_validate(read_yaml(file))


def on_meta(entry: Method, case: AnchorCase) -> nn.Module:
    """Build a case's network without memory, in evaluation mode."""
    with torch.device("meta"):
        return build_network(
            entry,
            image_size=case.image_size,
            n_seg=case.n_seg,
            n_cls=case.n_cls,
            **case.options,
        ).eval()


def parameters(network: nn.Module) -> int:
    """Trainable parameters; one that is shared counts once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def flops(network: nn.Module, image_size: int) -> int:
    """FLOPs of one forward pass of one image: convolutions and matrix products, two per MAC."""
    # Here, because it imports triton, and not every command that counts parameters counts these.
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, image_size, image_size))
    return counter.get_total_flops()


def block_parameters(network: nn.Module, names: str) -> int:
    """Trainable parameters of the submodules and parameters named by a `blocks` key.

    Raises:
        AttributeError: the network has no such part.
    """
    total = 0
    for name in names.split(" + "):
        owner, _, last = name.rpartition(".")
        part = getattr(network.get_submodule(owner), last)
        total += part.numel() if isinstance(part, nn.Parameter) else parameters(part)
    return total


def differences(network: nn.Module, case: AnchorCase) -> list[str]:
    """Every count of a network that is not what its case says, one line each."""
    found: list[tuple[str, float, float]] = [("parameters", parameters(network), case.parameters)]
    if case.flops or case.gmacs:
        counted = flops(network, case.image_size)
        if case.flops:
            found.append(("FLOPs", counted, case.flops))
        if case.gmacs:
            found.append(("GMAC", round(counted / 2e9, 1), case.gmacs))
    for names, expected in case.blocks.items():
        found.append((f"block {names}", block_parameters(network, names), expected))
    return [
        f"{what}: found {value:,}, expected {expected:,} ({value - expected:+,})"
        for what, value, expected in found
        if value != expected
    ]
