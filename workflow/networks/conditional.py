"""Labels judged by each other: the conditional probabilities of He et al. (Med. Image Anal. 2020).

The network's probabilities p become p A / n, a mixture of each label's own and the others', where A
says how often labels occur together in the training images. It is part of the network, so that the
loss, the choice of a checkpoint and the evaluation all see the mixed probabilities, and a buffer,
so that the saved weights carry it. With labels that exclude each other nothing is mixed.
"""

from typing import Any

import torch
from torch import Tensor, nn

# Mixed probabilities keep this distance from 0 and 1, as in the authors' code.
MARGIN = 1e-7


class ConditionalLabels(nn.Module):
    """A network whose classification logits are those of the mixed probabilities.

    Args:
        network: returns a Prediction.
        mixture: A / n, float32 `[n, n]`; columns sum to 1.
    """

    mixture: Tensor

    def __init__(self, network: nn.Module, mixture: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mixture", mixture)

    def forward(self, image: Tensor) -> Any:
        """The network's Prediction of images `[B, 3, H, W]`, its labels mixed."""
        prediction = self.network(image)
        probabilities = prediction.classification.float().sigmoid()
        # Not a matrix product, which autocast would round to bfloat16.
        mixed = (probabilities.unsqueeze(2) * self.mixture).sum(dim=1)
        return prediction._replace(classification=mixed.clamp(MARGIN, 1 - MARGIN).logit())


def conditional_mixture(labels: Tensor) -> Tensor:
    """A / n of a training split, float32 `[n, n]`.

    A[i, j] is the share of the images with label i that have label j too, i not j; the diagonal
    makes each column sum to n. A label that no image has says nothing of the others (decision: its
    row is 0, where the authors' code divides by 0).

    Args:
        labels: `[N, n]` of 0 and 1.
    """
    labels = labels.double()
    together = labels.T @ labels
    given = together / together.diagonal().clamp(min=1).unsqueeze(1)
    given.fill_diagonal_(0)
    count = labels.shape[1]
    return ((given + torch.diag(count - given.sum(dim=0))) / count).float()
