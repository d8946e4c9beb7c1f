"""The workflow's rooms, from the configuration to the report; `resformer --help` is its front door.

In goes `config.yaml`; out come weights, counts, tables, figures and a report. Open ARCHITECTURE.md
first: it says what goes in and out of each room.
"""
