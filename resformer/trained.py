"""A trained network as one file: safetensors with all that is needed to use it in its metadata.

`save` writes such a file and `load` builds the network again, with torch and safetensors alone.
The metadata holds JSON under one key; nothing in the file is ever run, and the network's module has
to be one of `resformer` or `baselines`, so that a file cannot name other code.
"""

import importlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from resformer.prediction import Prediction

# The key of the metadata, and the version of what stands there.
KEY, VERSION = "resformer", 1
PACKAGES = ("resformer", "baselines")
# Labels that were judged by each other keep this distance from 0 and 1.
MARGIN = 1e-7


@dataclass(frozen=True)
class Preparation:
    """How an image has to be prepared for a network: as the images were that it learnt from.

    Attributes:
        image_size: Height and width in pixels that images are resized to; aspect is not kept.
        color: Whether images have three channels that differ; grey ones are repeated.
        scale: What pixels from 0 to 255 are divided by.
        images: How images are resized: `bilinear` (a triangle filter as wide as the reduction) or
            `area`.
        masks: How reference masks are: `nearest` or `majority`.
        reduced: Whether large JPEGs are decoded at a half, a quarter or an eighth of their size.
        intensity: How intensities of volumes become 0 to 255: by the range of their `type`, of
            each `volume`, or by a given range.
        mask_values: The value of each lesion in reference masks; empty where it is 1, 2, ... or,
            of a single lesion, whatever is 128 or more.
        flips: The flips that training drew from, `horizontal` and `vertical`.
    """

    image_size: int
    color: bool
    scale: float = 255.0
    images: str = "bilinear"
    masks: str = "nearest"
    reduced: bool = False
    intensity: str | tuple[float, float] = "type"
    mask_values: tuple[int, ...] = ()
    flips: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedFile:
    """What is known of a trained network, apart from its weights.

    Attributes:
        title: What people call the network and its data.
        module: The module whose `build` makes the network.
        options: The options of `build` beside image size and outputs.
        lesions: What the mask values 1, 2, ... mean; empty where it does not segment.
        labels: What the image labels are; empty where it does not classify.
        preparation: How images are prepared.
        decision: When a label counts as present: `sigmoid` or `softmax` above the threshold, or
            `argmax`, the largest.
        threshold: The threshold.
        precision: The number format that it was tested in: `auto`, `bf16` or `float32`.
        mixes_labels: Whether labels are judged by each other (He et al.).
        card: Whatever else is on record, as plain JSON: configuration, provenance, scores.
    """

    title: str
    module: str
    options: Mapping[str, Any]
    lesions: tuple[str, ...]
    labels: tuple[str, ...]
    preparation: Preparation
    decision: str = "sigmoid"
    threshold: float = 0.5
    precision: str = "auto"
    mixes_labels: bool = False
    card: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The network with random weights.

        Raises:
            ValueError: The module is none of this project's, or does not take the options.
        """
        package = self.module.partition(".")[0]
        if package not in PACKAGES:
            raise ValueError(
                f"module {self.module!r} is outside of {' and '.join(PACKAGES)}, so a file may not "
                "name it; put it into baselines/"
            )
        try:
            network = importlib.import_module(self.module).build(
                image_size=self.preparation.image_size,
                n_seg=len(self.lesions) or None,
                n_cls=len(self.labels) or None,
                **self.options,
            )
        except (ImportError, AttributeError, TypeError) as error:
            raise ValueError(f"{self.module}: cannot be built here: {error}") from error
        return MixedLabels(network, len(self.labels)) if self.mixes_labels else network


class MixedLabels(nn.Module):
    """A network whose labels are judged by each other: their probabilities p become p A / n.

    Args:
        network: Returns a Prediction.
        labels: How many there are; the mixture comes with the weights.
    """

    mixture: Tensor

    def __init__(self, network: nn.Module, labels: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mixture", torch.eye(labels))

    def forward(self, image: Tensor) -> Prediction:
        """The network's Prediction of images `[B, 3, H, W]`, its labels mixed."""
        prediction = self.network(image)
        probabilities = prediction.classification.float().sigmoid()
        mixed = (probabilities.unsqueeze(2) * self.mixture).sum(dim=1)
        return prediction._replace(classification=mixed.clamp(MARGIN, 1 - MARGIN).logit())


class TrainedNetwork(nn.Module):
    """A network with what is known of it.

    Args:
        network: Returns a Prediction.
        about: What is known of it.
    """

    def __init__(self, network: nn.Module, about: TrainedFile) -> None:
        super().__init__()
        self.network = network
        self.about = about

    def forward(self, image: Tensor) -> Prediction:
        """Predict from images `[B, 3, H, W]`, prepared as `about.preparation` says."""
        return self.network(image)


def save(path: str | Path, weights: Mapping[str, Tensor], about: TrainedFile) -> None:
    """Write a trained network as one file.

    Args:
        path: The file to write.
        weights: The state of the network that `about.build` makes.
        about: What is known of it; `card` has to be plain JSON.
    """
    content = json.dumps({"version": VERSION, **asdict(about)}, ensure_ascii=False)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        path,
        metadata={KEY: content},
    )


def read_about(path: str | Path) -> TrainedFile:
    """What a file says of its network; no tensor is read.

    Raises:
        ValueError: It is no file of `save`, or of a version that is not known here.
        FileNotFoundError: It is not there.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
    except (SafetensorError, OSError, struct.error) as error:
        raise ValueError(
            f"{path}: no safetensors file ({error}); pickled weights (.pt, .pth) are never loaded"
        ) from error
    if KEY not in metadata:
        raise ValueError(
            f"{path}: weights alone, without what they are of; `resformer export` writes both"
        )
    try:
        found = json.loads(metadata[KEY])
        version = found.pop("version")
        if version != VERSION:
            raise ValueError(f"version {version}, and this code reads version {VERSION}")
        preparation = _preparation(found.pop("preparation"))
        lesions, labels = tuple(found.pop("lesions")), tuple(found.pop("labels"))
        return TrainedFile(**found, lesions=lesions, labels=labels, preparation=preparation)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: what it says of its network cannot be used: {error}") from error


def _preparation(found: dict[str, Any]) -> Preparation:
    values, flips = tuple(found.pop("mask_values")), tuple(found.pop("flips"))
    if not isinstance(found["intensity"], str):
        low, high = found["intensity"]
        found["intensity"] = (float(low), float(high))
    return Preparation(**found, mask_values=values, flips=flips)


def load(path: str | Path, device: str | torch.device = "cpu") -> TrainedNetwork:
    """Build the network of a file with its trained weights, ready to predict.

    Args:
        path: A file that `resformer export` wrote.
        device: Where its weights go.

    Returns:
        The network in evaluation mode; its `about` says how images are prepared and what its
        outputs mean.

    Raises:
        ValueError: The file is no such file, or its weights do not fit the network.
        FileNotFoundError: It is not there.
    """
    about = read_about(path)
    network = about.build()
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit {about.module}: {error}") from error
    return TrainedNetwork(network, about).to(device).eval()
