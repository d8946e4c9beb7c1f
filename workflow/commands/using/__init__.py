"""Commands for what was trained: to predict with it, carry it away, watch it, and compare it.

In goes a command line, out comes text on the terminal and what was asked for, as in
`workflow/commands/`. Open `predict.py` first.
"""
