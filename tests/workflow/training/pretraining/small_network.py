"""A method small enough to be pretrained in a test, and made-up images to mask for it."""

import numpy as np
import torch
from torch import nn

from resformer.prediction import Prediction
from workflow.config.sections import Pretraining
from workflow.training.pretraining.masking import Masking, Pool
from workflow.training.pretraining.superpixels import cut

SIZE = 32
SETTINGS = {
    "epochs": 2,
    "proxy_epochs": 2,
    "trials": 4,
    "images": None,
    "search_images": 2,
    "batch_size": 4,
    "learning_rate": 0.001,
    "superpixels": [4, 9, 16],
    "base": {"superpixels": 9, "masked": 3},
    "compactness": 5,
}


class Body(nn.Module):
    """An encoder, a decoder and a head, with every kind of state."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Conv2d(8, outputs, 1)

    def forward(self, image):
        return self.head(self.decoder(self.encoder(image)).relu())


class Inpainting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = Body(3)

    def forward(self, image):
        return self.network(image)

    def encode(self, image):
        return self.network.encoder(image)

    def carried_over(self):
        return {k: v for k, v in self.state_dict().items() if ".head." not in k}


class Segmenting(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.network = Body(outputs)

    def forward(self, image):
        return Prediction(self.network(image), None)


def build(*, image_size, n_seg, n_cls):
    return Segmenting(n_seg + 1)


def build_inpainting(*, image_size):
    return Inpainting()


def images(count=15, size=SIZE):
    """Bright discs on grainy grounds of different colours, uint8 `[count, size, size, 3]`."""
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[:size, :size]
    made = generator.integers(0, 6, (count, size, size, 3))
    for image in made:
        image += generator.integers(0, 80, 3)
        y, x = generator.uniform(0.3, 0.7, 2) * size
        image[(rows - y) ** 2 + (columns - x) ** 2 < (size / 4) ** 2] += 100
    return made.astype(np.uint8)


def masking(seed=0, **changes):
    settings = Pretraining.model_validate(SETTINGS | changes)
    made = images()
    labels = {k: np.stack([cut(image, k, 5) for image in made]) for k in settings.superpixels}
    pool = Pool.on(torch.device("cpu"), made, labels)
    return Masking(pool, settings, torch.float32, seed)


def silent(line):
    """Takes a report and shows it to nobody."""
