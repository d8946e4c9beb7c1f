"""Runs a network, or a control, once over the test images and keeps what later steps need.

In go weights and test arrays; out come `counts.parquet` and `masks.npz`. Open `evaluate.py` first.
"""
