"""Pieces that several compared methods share.

In go feature maps, or another network; out come layers, encoders and wrappers of them. Open
`single_task.py` first: it makes a method of a library's network, and most methods are one.
"""
