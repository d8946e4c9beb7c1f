"""Groups that the ids of images seem to name: `P01_left`, `P01_right`, `P02_left`."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# What people call files by: a patient's name or number, and then what tells the images apart.
PATTERNS = (
    r"^([A-Za-z]+[_-]?[0-9]+)[_-].+$",
    r"^([0-9]+)[_-].+$",
    r"^(.+)[_-](?:left|right|L|R|OD|OS|a|b|front|back|pre|post)$",
    r"^(.*?[0-9]+)(?:left|right|[A-Za-z])$",
    r"^(.+)[_-][0-9]{1,3}$",
)
# Fewer cannot be split, and far fewer than images are no patients but kinds.
FEWEST = 3


class GroupGuess(NamedTuple):
    """Groups that ids seem to name.

    Attributes:
        pattern: for `folder.group_pattern`.
        images: how many there are.
        groups: how many it makes of them.
        example: two ids of one group, in words.
    """

    pattern: str
    images: int
    groups: int
    example: str


def guess_groups(ids: Sequence[str]) -> GroupGuess | None:
    """The first usual pattern that fits all ids and puts several into some group, if any."""
    for pattern in PATTERNS:
        members: dict[str, list[str]] = {}
        for name in ids:
            match = re.search(pattern, name)
            if match is None or not match[1]:
                break
            members.setdefault(match[1], []).append(name)
        else:
            if FEWEST <= len(members) < len(ids):
                first, second = next(names for names in members.values() if len(names) > 1)[:2]
                return GroupGuess(pattern, len(ids), len(members), f"{first} and {second}")
    return None
