"""What trained networks say of prepared images: one of them, or the mean of several, also of flips.

One network without flips says exactly what evaluation would have it say: a mask is the argmax of
its logits. Several answers are averaged as probabilities.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from resformer.trained import TrainedFile
from workflow.base.digests import intact
from workflow.base.errors import DataError
from workflow.data.images import DeviceImages
from workflow.networks.device import autocast, on_device
from workflow.prediction.members import EnsembleMember

# Axes of an image batch `[B, C, H, W]`.
AXES = {"vertical": 2, "horizontal": 3}


class Answers(NamedTuple):
    """What is said of N images.

    Attributes:
        masks: uint8 `[N, S, S]`; None of networks that do not segment.
        logits: float32 `[N, n]`, of several networks those of their mean; None of networks that
            do not classify.
        disagreement: uint8 `[N, S, S]`, the share of networks, in 1/255, that give a pixel another
            class than the mask; None of a single one, or without masks.
        finite: bool `[N]`, whether all that was said of an image is.
    """

    masks: NDArray[np.uint8] | None
    logits: NDArray[np.float32] | None
    disagreement: NDArray[np.uint8] | None
    finite: NDArray[np.bool_]


class _Said(NamedTuple):
    """What one network says: its own answer, or the mean of its answers to flipped images.

    Attributes:
        classes: `[N, n + 1, S, S]`, logits of a single answer, or else probabilities.
        labels: float32 `[N, n]`, logits of a single answer, or else probabilities.
    """

    classes: Tensor | None
    labels: Tensor | None


class Ensemble:
    """Trained networks that predict together.

    Args:
        members: the networks; they have to mean the same by their outputs.
        device: what computes.
        precision: the number format of the forward passes.
        flips: whether each image is also shown flipped, as training flipped it.

    Raises:
        DataError: the networks do not fit together, or their weights cannot be used.
    """

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        device: torch.device,
        precision: torch.dtype,
        flips: bool = False,
    ) -> None:
        self.about = common(members)
        self._device, self._precision = device, precision
        self._networks = [_network(member, device) for member in members]
        drawn = [AXES[name] for name in self.about.preparation.flips] if flips else []
        if flips and not drawn:
            raise DataError(
                f"{members[0].weights}: its training flipped no image, so --flips would show it "
                "what it does not know; leave --flips out"
            )
        self._motions = [
            [axis for axis, chosen in zip(drawn, choice, strict=True) if chosen]
            for choice in product((False, True), repeat=len(drawn))
        ]

    @property
    def single(self) -> bool:
        """Whether there is one answer to an image, and nothing to average."""
        return len(self._networks) == len(self._motions) == 1

    @torch.inference_mode()
    def answer(self, prepared: NDArray[np.uint8]) -> Answers:
        """What the networks say of prepared images.

        Args:
            prepared: uint8 `[N, S, S]` or `[N, S, S, 3]`.
        """
        pixels = self._pixels(prepared)
        said = [self._said(network, pixels) for network in self._networks]
        finite = torch.stack([_finite(one) for one in said]).all(dim=0)
        masks, disagreement = self._masks([one.classes for one in said if one.classes is not None])
        logits = self._logits([one.labels for one in said if one.labels is not None])
        return Answers(
            None if masks is None else masks.cpu().numpy(),
            None if logits is None else logits.float().cpu().numpy(),
            None if disagreement is None else disagreement.cpu().numpy(),
            finite.cpu().numpy(),
        )

    def _pixels(self, prepared: NDArray[np.uint8]) -> Tensor:
        """Images float32 `[N, 3, S, S]`, as training and evaluation make them."""
        images = torch.from_numpy(np.ascontiguousarray(prepared))
        images = images.unsqueeze(1) if images.ndim == 3 else images.movedim(-1, 1)
        none = torch.zeros(len(images), 0)
        whole = DeviceImages(
            images.contiguous().to(self._device),
            none.to(self._device, torch.uint8),
            none.to(self._device),
            self.about.preparation.scale,
        )
        rows = torch.arange(len(images), device=self._device)
        return whole.batch(rows)[0].contiguous(memory_format=torch.channels_last)

    def _said(self, network: nn.Module, pixels: Tensor) -> _Said:
        answers = list(self._each_motion(network, pixels))
        if len(answers) == 1:
            return answers[0]
        classes = [one.classes.float().softmax(dim=1) for one in answers if one.classes is not None]
        labels = [self._probabilities(one.labels) for one in answers if one.labels is not None]
        return _Said(_mean(classes), _mean(labels))

    def _each_motion(self, network: nn.Module, pixels: Tensor) -> Iterator[_Said]:
        """The answers to the images and to each flip of them, masks flipped back."""
        for axes in self._motions:
            shown = pixels.flip(axes) if axes else pixels
            with autocast(self._device, self._precision):
                prediction = network(shown.contiguous(memory_format=torch.channels_last))
            classes, labels = prediction.segmentation, prediction.classification
            if classes is not None and axes:
                classes = classes.flip(axes)
            yield _Said(classes, None if labels is None else labels.float())

    def _masks(self, said: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Masks, and where networks do not agree with them."""
        if not said:
            return None, None
        own = [one.argmax(dim=1) for one in said]
        if len(said) == 1:
            return own[0].to(torch.uint8), None
        averaged = len(self._motions) > 1
        mean = _mean([one if averaged else one.float().softmax(dim=1) for one in said])
        assert mean is not None
        masks = mean.argmax(dim=1)
        others = torch.stack([one != masks for one in own]).float().mean(dim=0)
        return masks.to(torch.uint8), (255 * others).round().to(torch.uint8)

    def _logits(self, said: list[Tensor]) -> Tensor | None:
        """Logits of labels: a single network's own, or those of the mean probability."""
        if not said or self.single:
            return said[0] if said else None
        averaged = len(self._motions) > 1
        mean = _mean([one if averaged else self._probabilities(one) for one in said])
        assert mean is not None
        if self.about.decision == "sigmoid":
            return mean.double().logit(eps=1e-12)
        return mean.double().clamp(min=1e-300).log()

    def _probabilities(self, logits: Tensor) -> Tensor:
        own = self.about.decision == "sigmoid"
        return logits.sigmoid() if own else logits.softmax(dim=1)


def _mean(parts: list[Tensor]) -> Tensor | None:
    return torch.stack(parts).mean(dim=0) if parts else None


def _finite(said: _Said) -> Tensor:
    """Whether all that was said of each image is finite, `[N]`."""
    parts = [part.isfinite().flatten(1).all(dim=1) for part in said if part is not None]
    return torch.stack(parts).all(dim=0)


def common(members: Sequence[EnsembleMember]) -> TrainedFile:
    """What is known of all networks of an ensemble.

    Raises:
        DataError: two of them differ in what their outputs mean, or in how images are prepared.
    """
    first = members[0]
    for other in members[1:]:
        for name in ("lesions", "labels", "preparation", "decision", "threshold"):
            one, two = getattr(first.about, name), getattr(other.about, name)
            if one != two:
                raise DataError(
                    f"{other.weights}: its {name} are not those of {first.weights} ({two}; "
                    f"{one}), so their answers cannot be averaged; predict with each by itself"
                )
    return first.about


def _network(member: EnsembleMember, device: torch.device) -> nn.Module:
    """A member's network with its weights.

    Raises:
        DataError: the network cannot be built, or the weights are not its own.
    """
    try:
        network = member.about.build()
        network.load_state_dict(load_file(intact(member.weights)))
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{member.weights}: not the weights of {member.about.module} as this version of the "
            f"code builds it ({reason}); use the version that trained it"
        ) from error
    return on_device(network, device).eval()
