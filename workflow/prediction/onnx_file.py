"""A trained network as an ONNX file, for programs without torch, and the check that it is the same.

It needs the extra `onnx` of this project. The file takes batches of any number of prepared images
of the network's size and gives logits; onnxruntime has to give those of torch, or nothing is
written.
"""

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workflow.base.digests import intact
from workflow.base.errors import ConfigError, DataError
from workflow.base.files import replacing
from workflow.prediction.members import EnsembleMember

OPSET = 18
# Of images in [0, 1], logits may differ by this much, and by this share of their size.
ABSOLUTE, RELATIVE = 1e-3, 1e-3
EXTRA = "resformer-reproduction[onnx]"
# The exporter of torch is in need of the first two.
NEEDED = ("onnx", "onnxscript", "onnxruntime")


class OnnxOutputs(nn.Module):
    """A network whose outputs are a tuple of what it gives, without what it does not.

    Args:
        network: returns a Prediction.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Mask logits, then label logits, of images `[B, 3, S, S]`."""
        prediction = self.network(image)
        given = (prediction.segmentation, prediction.classification)
        return tuple(part for part in given if part is not None)


def write_onnx(member: EnsembleMember, file: Path) -> float:
    """Write a network as an ONNX file, once it is found to say what torch says.

    Returns:
        The largest difference between the logits of the two.

    Raises:
        ConfigError: the extra is not installed.
        DataError: the network cannot be written as ONNX, or is another one there.
    """
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"--onnx: {absent[0]} is not installed; install {EXTRA}, or `uv sync --extra onnx`"
        )
    onnxruntime = importlib.import_module("onnxruntime")
    network = member.about.build()
    network.load_state_dict(load_file(intact(member.weights)))
    outputs = OnnxOutputs(network).eval()
    size = member.about.preparation.image_size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with replacing(file) as temporary:
        _export(outputs, images, temporary, member)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        return _compared(outputs, session, images[:1].repeat(3, 1, 1, 1) * 0.9, member)


def _export(outputs: nn.Module, images: Tensor, file: Path, member: EnsembleMember) -> None:
    names = [
        *(["masks"] if member.about.lesions else []),
        *(["labels"] if member.about.labels else []),
    ]
    level = logging.getLogger("torch.onnx").level
    try:
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                outputs,
                (images,),
                file,
                input_names=["image"],
                output_names=names,
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{member.weights}: {member.about.module} cannot be written as ONNX ({reason}); the "
            "safetensors file can be used with torch"
        ) from error
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


def _compared(outputs: nn.Module, session: Any, images: Tensor, member: EnsembleMember) -> float:
    """The largest difference between torch and onnxruntime.

    Raises:
        DataError: it is larger than rounding explains.
    """
    with torch.inference_mode():
        expected = [part.numpy() for part in outputs(images)]
    found = session.run(None, {"image": images.numpy()})
    for one, other in zip(expected, found, strict=True):
        if not np.allclose(one, other, atol=ABSOLUTE, rtol=RELATIVE):
            raise DataError(
                f"{member.weights}: onnxruntime's logits are off by "
                f"{np.abs(one - other).max():.3g}; expected those of torch. No ONNX file was "
                "written"
            )
    return float(max(np.abs(one - other).max() for one, other in zip(expected, found, strict=True)))
