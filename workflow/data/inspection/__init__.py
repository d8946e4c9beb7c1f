"""A first look at images of one's own, before anybody trains on them.

In goes a configuration, or a folder that nobody has described yet; out come a summary with
warnings and a page of samples, or a first configuration with every guess commented. Open `look.py`
first; `guess.py` is for a folder without a configuration.
"""
