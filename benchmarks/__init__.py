"""Measurements that can be repeated: each module is a command that prints what it measured."""
