"""From a configuration entry to a network on a device.

In goes a method of `config.yaml`; out comes its `torch.nn.Module`, with given initial weights where
the entry names some, and the counts on record that it is held to. Open `build.py` first.
"""
