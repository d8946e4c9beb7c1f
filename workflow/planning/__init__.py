"""What a configuration will cost, before it is run.

In go a configuration and a device; out come hours, memory and disk, for each run and in all. Only
calibrating a device, and counting a network that is not on record, import torch. Open `cost.py`
first, for one run, then `bill.py`, which adds up.
"""
