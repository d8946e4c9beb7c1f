"""`build_method`, under the name that code outside this repository knows.

In goes a configuration with a data set and a method; out comes a network. Open `networks/build.py`
first: this package only hands on what is there.
"""

from workflow.networks.build import build_method

__all__ = ["build_method"]
