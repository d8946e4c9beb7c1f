"""ResFormer as printed: shared encoder, segmentation path, two heads (paper, section III).

`build` is what the configuration names. The paper's ablations (Tables VIII and IX) are options
of the same network: `n_seg=None` is "Cls. only", `n_cls=None` is "Seg. only", `dfe=False`
hands the encoder's maps to the decoder as they are.

Decisions: the classification head's hidden width, 32, and the lack of an activation between its
layers are the released code's; the paper prints FC(FC(.)). So are BN and ReLU before the head's
pooling, on which the paper is silent: F̂_3 and F̂_4 are sums that no normalisation follows, and
without it the labels' logits start with a standard deviation of 2 to 9 (`cls_norm`).
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resformer.decoder import Decoder, Upsampling
from resformer.dfe import DFE
from resformer.encoder import CHANNELS, Encoder, LevelMaps, Mode
from resformer.initialisation import initialise
from resformer.prediction import Prediction
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

ClsActivation = Literal["none", "relu"]
CLS_ACTIVATIONS: tuple[ClsActivation, ...] = get_args(ClsActivation)
ClsNorm = Literal["none", "bn_relu"]
CLS_NORMS: tuple[ClsNorm, ...] = get_args(ClsNorm)


class ClassificationHead(nn.Module):
    """FC(FC(Concat(GAP(F̂_3), GAP(F̂_4)))), with BN and ReLU before each GAP or without.

    The two layers start Xavier-normal, with zero biases, as in the released code.

    Args:
        n_cls: Number of image labels.
        hidden: Width between the two layers.
        activation: `none`, as printed, or `relu` between them.
        norm: `bn_relu`, as released, or `none`, as printed: what each map passes before GAP.

    Raises:
        ValueError: On another activation or norm.
    """

    def __init__(self, n_cls: int, hidden: int, activation: ClsActivation, norm: ClsNorm) -> None:
        super().__init__()
        require_choice("resformer", "cls_activation", activation, CLS_ACTIVATIONS)
        require_choice("resformer", "cls_norm", norm, CLS_NORMS)
        self.norm3, self.norm4 = (_before_pooling(norm, channels) for channels in CHANNELS[2:])
        self.fc1 = nn.Linear(CHANNELS[2] + CHANNELS[3], hidden)
        self.fc2 = nn.Linear(hidden, n_cls)
        self.activation = activation
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, level3: Tensor, level4: Tensor) -> Tensor:
        """Map `[B, 256, H/8, W/8]` and `[B, 512, H/16, W/16]` to logits `[B, n_cls]`."""
        pooled = [self.norm3(level3).mean((2, 3)), self.norm4(level4).mean((2, 3))]
        hidden = self.fc1(torch.cat(pooled, 1))
        return self.fc2(F.relu(hidden) if self.activation == "relu" else hidden)


def _before_pooling(norm: ClsNorm, channels: int) -> nn.Module:
    """Make what a map of so many channels passes before the classification head averages it."""
    if norm == "none":
        return nn.Identity()
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class SegmentationPath(nn.Module):
    """DFE at every level, decoder, and the 1×1 convolution of the segmentation head.

    Args:
        n_seg: Number of lesion types n; the head has n + 1 channels.
        dfe: Whether to enhance; otherwise the encoder's maps go to the decoder as they are.
        upsample: Kind of upsampling in the decoder.
    """

    def __init__(self, n_seg: int, *, dfe: bool, upsample: Upsampling) -> None:
        super().__init__()
        self.dfe = nn.ModuleList(DFE(channels) if dfe else nn.Identity() for channels in CHANNELS)
        self.decoder = Decoder(upsample)
        self.head = nn.Conv2d(CHANNELS[0], n_seg + 1, 1)

    def forward(self, maps: LevelMaps) -> Tensor:
        """Map F̂_1 .. F̂_4 to logits `[B, n_seg + 1, H, W]`; the softmax is the loss's."""
        enhanced = LevelMaps(*(dfe(x) for dfe, x in zip(self.dfe, maps, strict=True)))
        return self.head(self.decoder(enhanced))


class ResFormer(nn.Module):
    """A shared encoder with the paths of one or both tasks.

    Args:
        encoder: Makes F̂_1 to F̂_4 of an image.
        segmentation: Path from these to segmentation logits, or `None`.
        classification: Head on F̂_3 and F̂_4, or `None`.
        sizes: Image sizes that the network takes.
    """

    def __init__(
        self,
        encoder: nn.Module,
        segmentation: nn.Module | None,
        classification: nn.Module | None,
        sizes: SizeRule,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.segmentation = segmentation
        self.classification = classification
        self.sizes = sizes

    def forward(self, image: Tensor) -> Prediction:
        """Predict from images `[B, 3, H, W]`; see `Prediction` for the result's shapes.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        maps: LevelMaps = self.encoder(image)
        segmentation = None if self.segmentation is None else self.segmentation(maps)
        classification = (
            None if self.classification is None else self.classification(maps.level3, maps.level4)
        )
        return Prediction(segmentation, classification)


def checked_window(method: str, image_size: int, window_size: int | None) -> int:
    """Return the window's side in tokens: `image_size // 16` unless given.

    With the default, level 4 is one window. Checks the image size on the way.

    Raises:
        ValueError: If the image size does not fit the network or the window is below one.
    """
    SizeRule(method, SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    window = image_size // 16 if window_size is None else window_size
    if window < 1:
        raise ValueError(f"{method}: window_size is {window}; it must be 1 or more")
    return window


def require_a_task(method: str, n_seg: int | None, n_cls: int | None) -> None:
    """Refuse a network without any output, or a task with fewer than one.

    Raises:
        ValueError: Naming the method and the argument.
    """
    if n_seg is None and n_cls is None:
        raise ValueError(f"{method}: n_seg and n_cls are both None; give at least one task")
    if n_seg is not None:
        require_outputs(method, "n_seg", n_seg)
    if n_cls is not None:
        require_outputs(method, "n_cls", n_cls)


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    mode: Mode = "sequential",
    dfe: bool = True,
    conv_depths: Sequence[int] = (3, 4, 6, 3),
    window_size: int | None = None,
    drop_path: float = 0.1,
    upsample: Upsampling = "bilinear",
    cls_hidden: int = 32,
    cls_activation: ClsActivation = "none",
    cls_norm: ClsNorm = "bn_relu",
) -> ResFormer:
    """Build the printed network with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels that it will mostly see; sets the default window.
            Other sizes, also non-square, may be given to `forward`.
        n_seg: Number of lesion types, or `None` for "Cls. only": no DFE, decoder or head.
        n_cls: Number of image labels, or `None` for "Seg. only": no classification head.
        mode: `sequential` or `parallel`.
        dfe: Whether there is a DFE module at each level.
        conv_depths: Residual blocks of the four levels; `(1, 1, 1, 1)` is the literal equation.
        window_size: Side of the attention window in tokens; `None` means image_size // 16.
        drop_path: Stochastic depth of the last transformer block; linear from 0.
        upsample: `bilinear` or `transposed`.
        cls_hidden: Width of the classification head's hidden layer.
        cls_activation: `none` or `relu` between the head's two layers.
        cls_norm: `bn_relu` or `none` before the head's pooling.

    Raises:
        ValueError: If a size does not work, an option is unknown or no task is given.
    """
    require_a_task("resformer", n_seg, n_cls)
    window = checked_window("resformer", image_size, window_size)
    encoder = Encoder(mode, conv_depths, window, drop_path)
    segmentation = None if n_seg is None else SegmentationPath(n_seg, dfe=dfe, upsample=upsample)
    classification = (
        None if n_cls is None else ClassificationHead(n_cls, cls_hidden, cls_activation, cls_norm)
    )
    sizes = SizeRule("resformer", SIZE_MULTIPLE, MINIMUM_SIZE)
    network = ResFormer(encoder, segmentation, classification, sizes)
    initialise(network, heads=(segmentation and segmentation.head, classification))
    return network
