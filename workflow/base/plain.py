"""Text without characters that act instead of being read: where text enters, and where it leaves.

Servers, files, titles and the environment bring text that this project has not written. A control
character in it may move a terminal's cursor, hide what stands before it, or turn a line around.
Such text is refused where a person can correct it (`hidden`), and is otherwise shown with the
character's number in its place (`plain`).
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# All that is no letter, mark, digit or space to a reader: the controls of ASCII and Latin-1 (line
# ends and tabs aside), the marks that turn the direction of text, the separators of lines and
# paragraphs that only some programs obey, half characters, and the mark of byte order.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff]"
)


def hidden(text: str) -> str | None:
    """The first character of a text that acts and is not seen, as its number; None without one."""
    found = HIDDEN.search(text)
    return _number(found) if found else None


def plain(text: str) -> str:
    r"""A text with such characters as numbers, such as `\x1b`; line ends and tabs stay."""
    return HIDDEN.sub(_number, text)


def plain_line(text: str) -> str:
    """The same on one line."""
    return plain(" ".join(text.split()))


class PlainStream:
    """A stream of text that passes on what is plain; all else is the stream's own.

    Attributes:
        acting: the stream itself, for what is to act on a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.acting = stream

    def write(self, text: str) -> int:
        """Write a text without what acts on a terminal; returns how long the text was."""
        self.acting.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.acting, name)


@contextmanager
def plain_streams() -> Iterator[None]:
    """Let what this process prints be plain while the block runs."""
    streams = sys.stdout, sys.stderr
    replaced: Any = sys
    replaced.stdout, replaced.stderr = map(PlainStream, streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _number(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
