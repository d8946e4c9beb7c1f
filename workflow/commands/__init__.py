"""What `resformer` answers: one module per command, with its arguments and what it does.

In goes a command line, out comes text on the terminal; whatever is computed is computed in the
rooms, which know nothing of commands. A module's docstring is its `--help`, with an example, and
what it imports at once is light: rooms are imported when the command runs. Open `arguments.py`
first, which has what commands share; `workflow/__main__.py` has their table.
"""
