"""The paper's network, ResFormer, laid out in the order of the paper's section III.

In goes an image batch; out come mask logits and label logits. `blocks.py` and `attention.py` hold
the pieces of one ResFormer block, `encoder.py` stacks four levels of them (III-A), and `dfe.py` and
`decoder.py` are the segmentation path (III-B). `released.py` is the network of the authors' public
repository where it departs from the printed one, and `trained.py` reads and writes a trained
network as one file. Nothing here knows of the workflow; torch and safetensors are all that is
imported, and only when one of the names below is used: `create`, `load`, `ResFormer`, `Prediction`.
Open `model.py` first: it adds the output heads (III-C), and the configuration names it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resformer.creating import create
    from resformer.model import ResFormer
    from resformer.prediction import Prediction
    from resformer.trained import load

# Name -> its module. Imported when asked for, so that `import resformer` stays without torch.
_MODULES = {
    "Prediction": "resformer.prediction",
    "ResFormer": "resformer.model",
    "create": "resformer.creating",
    "load": "resformer.trained",
}
__all__ = ["Prediction", "ResFormer", "create", "load"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'resformer' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
