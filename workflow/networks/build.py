"""From a configuration entry to a network: the only place that knows method modules by name."""

import importlib

from torch import nn

from workflow.base.errors import ConfigError
from workflow.config.model import Config
from workflow.config.sections import Method


def build_method(config: Config, dataset: str, method: str) -> nn.Module:
    """Build a method's network for a data set, freshly initialised from torch's generator.

    Its `forward(image[B, 3, H, W])` returns a Prediction: segmentation logits
    `[B, n_seg + 1, H, W]` and classification logits `[B, n_cls]`, None for a task it does not do.

    Raises:
        ConfigError: the module does not take one of the configured options, or its value.
    """
    entry, data = config.methods[method], config.datasets[dataset]
    try:
        return build_network(
            entry,
            image_size=data.image_size,
            n_seg=len(data.lesions),
            n_cls=len(data.labels),
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"methods.{method}.options: {error}") from error


def build_network(
    entry: Method, *, image_size: int, n_seg: int, n_cls: int, **options: object
) -> nn.Module:
    """Build the network of a configuration entry for any image size and outputs.

    Args:
        entry: the method.
        image_size: height and width in pixels.
        n_seg: lesion types; not passed on to a method that does not segment.
        n_cls: labels; not passed on to a method that does not classify.
        options: options that replace the entry's own.

    Raises:
        TypeError: the module's `build` has no such option.
        ValueError: the size or an option's value does not work.
    """
    assert entry.module is not None  # a control has predictions, and no network
    return importlib.import_module(entry.module).build(
        image_size=image_size,
        n_seg=n_seg if "segmentation" in entry.tasks else None,
        n_cls=n_cls if "classification" in entry.tasks else None,
        **entry.network_options | options,
    )
