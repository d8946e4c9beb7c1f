"""From a configuration entry to a network: the only place that knows method modules by name."""

import importlib

from torch import nn

from workflow.config import Config
from workflow.config_errors import ConfigError


def build_method(config: Config, dataset: str, method: str) -> nn.Module:
    """Build a method's network for a data set, freshly initialised from torch's generator.

    Its `forward(image[B, 3, H, W])` returns a Prediction: segmentation logits
    `[B, n_seg + 1, H, W]` and classification logits `[B, n_cls]`, None for a task it does not do.

    Raises:
        ConfigError: the module does not take one of the configured options, or its value.
    """
    entry, data = config.methods[method], config.datasets[dataset]
    module = importlib.import_module(entry.module)
    try:
        return module.build(
            image_size=data.image_size,
            n_seg=len(data.lesions) if "segmentation" in entry.tasks else None,
            n_cls=len(data.labels) if "classification" in entry.tasks else None,
            **entry.options,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"methods.{method}.options: {error}") from error
