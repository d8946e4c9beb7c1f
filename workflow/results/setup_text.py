"""How a method was trained, in the few words that stand in every table row."""

from collections.abc import Iterable
from pathlib import PurePath

from workflow.config.model import Config
from workflow.config.sections import Method

HEADING = "Recipe, weights"


def setup(config: Config, methods: Iterable[str]) -> str:
    """The recipe and the initial weights of the methods of a row, `unified, random`.

    A row whose columns choose different methods names each different one, in their order.
    """
    texts = [", ".join(words(config.methods[method])) for method in methods]
    return " / ".join(dict.fromkeys(texts))


def words(method: Method) -> tuple[str, ...]:
    """The recipe of a method and what its weights start from; `control` for one without."""
    if method.control:
        return ("control",)
    return (method.recipe, weights(method))


def weights(method: Method) -> str:
    """What a method's weights start from: `random`, a file's name, or a name of timm's hub."""
    if method.pretraining:
        return "masked superpixels"
    if method.pretrained == "none":
        return "random"
    if method.pretrained.startswith("hub:"):
        return method.pretrained
    return PurePath(method.pretrained).name
