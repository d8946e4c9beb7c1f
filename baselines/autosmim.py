"""autoSMIM (Wang, Lyu and Tang, IEEE TMI 42(12), 2023; reference [38]), Table VII, segmentation.

A U-Net on an EfficientNetV2-S encoder that starts from self-supervised weights: before it learns to
segment, its encoder and decoder learn to paint masked superpixels back in, with the masking policy
chosen by a search. That first stage is a step of the workflow of its own; this module gives it the
network to train, `build_inpainting`, and gives the second stage the one to fine-tune, `build`.

Official code: segmentation_models_pytorch's U-Net on timm's `tf_efficientnetv2_s`, decoder widths
256, 128, 64, 32, 16 with batch norm, a 1×1 convolution as its head; decoder Kaiming-uniform, head
Xavier-uniform. There the encoder starts from ImageNet weights. Decision: random weights, as for
every method here; the encoder's are drawn by timm's rules.
"""

import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_head
from torch import Tensor, nn

from baselines.parts.single_task import Segmenter
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32

ENCODER = "tu-tf_efficientnetv2_s"
DECODER_CHANNELS = (256, 128, 64, 32, 16)
SIZES = SizeRule("autosmim", SIZE_MULTIPLE, MINIMUM_SIZE)


class InpaintingNetwork(nn.Module):
    """The network of the first stage: paints an image whose masked pixels are black.

    Its parameters have the names that they have in the network of the second stage.

    Args:
        network: Maps `[B, 3, H, W]` to `[B, 3, H, W]`; has an `encoder`.
        sizes: Image sizes that it takes.
    """

    def __init__(self, network: nn.Module, sizes: SizeRule) -> None:
        super().__init__()
        self.network = network
        self.sizes = sizes

    def forward(self, image: Tensor) -> Tensor:
        """Paint images `[B, 3, H, W]`; every pixel gets a value, masked or not.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        return self.network(image)

    def encode(self, image: Tensor) -> Tensor:
        """The encoder's deepest map `[B, 256, H / 32, W / 32]`, rounded up, of any H and W."""
        return self.network.get_submodule("encoder")(image)[-1]

    def carried_over(self) -> dict[str, Tensor]:
        """Names and values that the second stage starts from: all but the head's."""
        state = self.state_dict()
        return {k: v for k, v in state.items() if not k.startswith("network.segmentation_head.")}


def build(*, image_size: int, n_seg: int | None, n_cls: int | None) -> Segmenter:
    """Build the network of the second stage with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.

    Raises:
        ValueError: If the size does not work or `n_seg` is missing.
    """
    SIZES.check(image_size, image_size)
    return Segmenter(_unet(require_outputs("autosmim", "n_seg", n_seg) + 1), SIZES)


def build_inpainting(*, image_size: int) -> InpaintingNetwork:
    """Build the network of the first stage: the same but for three output channels, the colours.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.

    Raises:
        ValueError: If the size does not work.
    """
    SIZES.check(image_size, image_size)
    return InpaintingNetwork(_unet(3), SIZES)


def _unet(outputs: int) -> nn.Module:
    network = smp.Unet(
        ENCODER, encoder_weights=None, decoder_channels=DECODER_CHANNELS, classes=outputs
    )
    # The library's own head has a 3×3 kernel.
    network.segmentation_head = SegmentationHead(DECODER_CHANNELS[-1], outputs, kernel_size=1)
    initialize_head(network.segmentation_head)
    return network
