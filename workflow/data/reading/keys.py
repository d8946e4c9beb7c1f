"""Names of images and groups, which programs and people spell in several ways.

Normalised are what nobody can see: composed or decomposed letters, and spaces at either end. What
can be seen, such as capitals or `7` beside `7.0`, is shown side by side and refused.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?")


def tidy(name: str) -> str:
    """A name without spaces at either end, its letters composed (Unicode NFC)."""
    return unicodedata.normalize("NFC", name).strip()


def is_printable(name: str) -> bool:
    """Whether a name can stand in a table and be told from others by eye."""
    return bool(name) and name.isprintable() and name == name.strip() and not set("/\\") & set(name)


def alike(name: str) -> str:
    """The same text for names that differ only in capitals, spaces, or forms of one letter."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).translate(_DASHES).split())


def same_name(name: str) -> str:
    """As `alike`, and the same for spellings of one number: 7, 7.0 and 07, or P7, P 07 and p-7."""
    text = re.sub(r"(?<=\d),(?=\d+$)", ".", alike(name))  # as some countries write 7,0
    if _NUMBER.fullmatch(text):
        try:
            number = Decimal(text).normalize()
        except InvalidOperation:
            return text
        return f"{number + 0:f}"
    text = re.sub(r"(?<=[^\W\d_])[ _-]+(?=\d)", "", text)  # "p 7"
    return re.sub(r"(?<![\d.])0+(?=\d)", "", text)  # "p07"


def spelled_twice(names: Iterable[str]) -> list[str]:
    """The spellings of the first name that is spelled in several ways, by `same_name`."""
    return _first_clash(names, same_name)


def look_alike(names: Iterable[str]) -> list[str]:
    """The spellings of the first name that is spelled in several ways, by `alike`."""
    return _first_clash(names, alike)


def _first_clash(names: Iterable[str], key: Callable[[str], str]) -> list[str]:
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(key(name), []).append(name)
    return next((spellings for spellings in found.values() if len(spellings) > 1), [])


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelled nearly so, in brackets for a message; or nothing.

    A file's ending does not count: tables often have `a.png` where `a` is meant.
    """
    wanted = loosely(name)
    for other in known:
        if loosely(other) == wanted:
            return f" (there is {shown(other)}, which is another spelling of it)"
    return ""


def loosely(name: str) -> str:
    """As `same_name`, the ending of an image file left out."""
    return same_name(re.sub(r"\.(png|jpe?g|tiff?|bmp|gif)$", "", name.strip(), flags=re.IGNORECASE))


def shown(name: str) -> str:
    """A name in quotes, with what cannot be seen in it written out."""
    composed = unicodedata.normalize("NFC", name) == name
    return repr(name) if composed and name.isprintable() else ascii(name)


def side_by_side(names: Iterable[str]) -> str:
    """Some spellings, each in quotes."""
    return " and ".join(map(shown, names))


def listed(names: Iterable[str], longest: int = 200) -> str:
    """Names in a line that can be read, cut where it is long."""
    text = "".join(c if c.isprintable() else "?" for c in ", ".join(names))
    return text if len(text) <= longest else f"{text[:longest]}..."
