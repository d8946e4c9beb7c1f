"""The configuration with some keys changed, without parsing the file for each test."""

import copy
import functools

from workflow.config.errors import merge
from workflow.config.load import load_config, load_raw, resolve


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@functools.cache
def of_preset(name):
    return load_config(overrides={"preset": name})


@functools.cache
def _everything():
    return load_raw(overrides={"preset": "everything"})


def changed(changes):
    """What `load_config(overrides=changes)` gives, without parsing the file each time."""
    if "preset" in changes:
        return load_config(overrides=changes)
    return resolve(merge(copy.deepcopy(_everything()), changes), "config.yaml")
