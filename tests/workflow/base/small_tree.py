"""A small source tree on disk, for tests of what reads one."""

from workflow.base.source_tree import SourceTree


def tree(folder, files):
    """Write files by their paths and read the tree that they are."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return SourceTree.read(folder)
