"""What is asked for: `config.yaml` and its presets as one typed, checked object.

In go the file, a preset and the command line's changes; out comes a `Config`, or an error that
names the key. Open `load.py` first; `sections.py`, `datasets.py` and `training.py` have the keys.
"""

from workflow.config.load import load_config
from workflow.config.model import Config

__all__ = ["Config", "load_config"]
