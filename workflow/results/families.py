"""The families of methods, which have one colour and one marker everywhere.

Colours are of the set of Okabe and Ito, which the colour-blind tell apart; markers differ too, for
paper without colour.
"""

from typing import NamedTuple

from workflow.config.cells import is_control
from workflow.config.model import Config


class Family(NamedTuple):
    """A family: its name in legends, its colour, and its marker as matplotlib calls it."""

    name: str
    colour: str
    marker: str


RESFORMER = Family("ResFormer", "#d55e00", "D")
MULTI_TASK = Family("multi-task", "#0072b2", "o")
SEGMENTATION = Family("segmentation only", "#009e73", "s")
CLASSIFICATION = Family("classification only", "#aa4499", "^")
CONTROL = Family("control", "#767676", "X")
# In the order that figures list them.
FAMILIES = (MULTI_TASK, SEGMENTATION, CLASSIFICATION, RESFORMER, CONTROL)


def family(config: Config, method: str) -> Family:
    """The family of a method: the paper's network with its parts, or by its tasks."""
    entry = config.methods[method]
    if is_control(config, method):
        return CONTROL
    if str(entry.module).startswith("resformer."):
        return RESFORMER
    if len(entry.tasks) > 1:
        return MULTI_TASK
    return SEGMENTATION if entry.tasks == ["segmentation"] else CLASSIFICATION
