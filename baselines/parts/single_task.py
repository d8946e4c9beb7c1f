"""A library's network dressed as a method of this project.

The libraries return bare logits and refuse wrong sizes each in its own way, some of them deep
inside a layer. Here the size is checked once and the logits go to their place in a `Prediction`.
"""

from torch import Tensor, nn

from resformer.prediction import Prediction
from resformer.requirements import SizeRule


class Segmenter(nn.Module):
    """A segmentation network as a method without classification.

    Args:
        network: Maps `[B, 3, H, W]` to logits `[B, n_seg + 1, H, W]`.
        sizes: Image sizes that it takes.
    """

    def __init__(self, network: nn.Module, sizes: SizeRule) -> None:
        super().__init__()
        self.network = network
        self.sizes = sizes

    def forward(self, image: Tensor) -> Prediction:
        """Segment images `[B, 3, H, W]`.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        return Prediction(segmentation=self.network(image), classification=None)


class Classifier(nn.Module):
    """A classification network as a method without segmentation.

    Args:
        network: Maps `[B, 3, H, W]` to logits `[B, n_cls]`.
        sizes: Image sizes that it takes.
    """

    def __init__(self, network: nn.Module, sizes: SizeRule) -> None:
        super().__init__()
        self.network = network
        self.sizes = sizes

    def forward(self, image: Tensor) -> Prediction:
        """Classify images `[B, 3, H, W]`.

        Raises:
            ValueError: If H or W does not fit the network.
        """
        self.sizes.check(image.shape[2], image.shape[3])
        return Prediction(segmentation=None, classification=self.network(image))
