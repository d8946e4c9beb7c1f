"""The workflow's rooms, from the configuration to the report; `resformer --help` is its front door.

ARCHITECTURE.md says what goes in and out of each, in the order in which data goes.
"""
