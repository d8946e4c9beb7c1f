"""What a configuration will cost before it is run; `resformer plan` is the command.

`images` counts images, `networks` what a network computes and stores, `devices` how fast a device
is, `cost` puts the three together for a run, `schedule` runs over GPUs, and `bill` adds up. Only
`calibrate`, and counting a network that is not on record, import torch.
"""
