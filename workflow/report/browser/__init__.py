"""The data of the report's image browser: test images, references, and what each method said.

Pages from disk cannot read files, so the data are scripts that call a global, and masks are PNGs
in base64 inside them. `write.py` says what is written; docs of the format are beside each writer.
"""
