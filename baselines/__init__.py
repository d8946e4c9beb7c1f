"""The compared methods, one module each, every one with the same `build`.

In goes what a configuration entry says of a method; out comes its network. A module is imported
only when its method is built, because timm and segmentation_models_pytorch take seconds to import;
nothing is imported here for that reason. `names` lists the methods and `create` builds one of them
by its name. Open the file that is called as the method, such as `unetpp.py`, first.
"""

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["create", "names"]


def names() -> list[str]:
    """The methods that `create` knows, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def create(
    name: str,
    *,
    image_size: int = 224,
    lesions: int | None = None,
    labels: int | None = None,
    **options: Any,
) -> "nn.Module":
    """Make the network of a compared method, with random weights.

    Example: `baselines.create("transunet", image_size=224, lesions=1)`.

    Args:
        name: One of `names()`.
        image_size: Height and width in pixels.
        lesions: Number of lesion types; masks have one channel more. `None`: no segmentation.
        labels: Number of image labels. `None`: no classification.
        options: Further options of the method's `build`.

    Returns:
        A network that maps images `[B, 3, H, W]` to a `resformer.Prediction`.

    Raises:
        ValueError: If there is no such method, it does not do a task that is asked for, needs one
            that is not, or a size or an option does not work.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"no method {name!r}; {hint}There are {', '.join(names())}")
    build = importlib.import_module(f"{__name__}.{name}").build
    asked = {"n_seg": lesions, "n_cls": labels}
    try:
        network = build(image_size=image_size, **asked, **options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    _refuse_ignored(name, build, {"image_size": image_size, **asked, **options})
    return network


def _refuse_ignored(name: str, build: Any, arguments: dict[str, Any]) -> None:
    """Refuse outputs that a method does not have, which `build` leaves out without a word.

    They show in the shapes of the weights: one output more must change them. On torch's device
    `meta` a network is built without computing anything.
    """
    import torch

    def shapes(**changed: int) -> list[Any]:
        with torch.device("meta"):
            network = build(**{**arguments, **changed})
        return [tensor.shape for tensor in network.state_dict().values()]

    words = {"n_seg": ("lesions", "segment"), "n_cls": ("labels", "classify")}
    for argument, (keyword, verb) in words.items():
        outputs = arguments[argument]
        if outputs is not None and shapes(**{argument: outputs + 1}) == shapes():
            raise ValueError(f"{name}: does not {verb}; leave out {keyword}={outputs}")
