"""Whole groups shared out over folds, or over parts of given sizes, with all that they hold.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label
Data, 2011), by groups: what the fewest groups hold is shared out first, each of its groups going to
the part that has least of what it should. Where a part still ends without something that enough
groups hold, groups are exchanged until it has some, as far as that is possible.
"""

import hashlib
from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import pandas as pd

from workflow.base.errors import DataError

# Of more groups than these the first sharing is even enough, and swaps would take long.
FEW_GROUPS = 400
MOST_SWAPS = 400
# What is less than this of all there is does not count.
LEAST_GAIN = 1e-9


def amounts_of(inventory: pd.DataFrame, lesions: list[str], labels: list[str]) -> pd.DataFrame:
    """What is to be shared evenly: a row per group with its images with and without each label.

    Lesions come after the labels, by their pixels, where the inventory has them.

    Args:
        inventory: a row per image, with `group`, `label_*` and perhaps `pixels_*`.
        lesions: names of `pixels_*`.
        labels: names of `label_*`.
    """
    columns: dict[str, pd.Series] = {}
    for name in labels:
        if f"label_{name}" in inventory:
            columns[f"with {name}"] = inventory[f"label_{name}"].astype(int)
            columns[f"without {name}"] = 1 - inventory[f"label_{name}"].astype(int)
    for name in lesions:
        if f"pixels_{name}" in inventory:
            columns[f"pixels of {name}"] = inventory[f"pixels_{name}"]
    table = pd.DataFrame(columns, index=inventory.index)
    amounts = table.groupby(inventory["group"], sort=False).sum()
    amounts.index = amounts.index.astype(str)
    return amounts


def balanced_folds(amounts: pd.DataFrame, count: int) -> list[list[str]]:
    """The groups in `count` folds of nearly the same number, each with its share of every column.

    Args:
        amounts: one row per group, one column for each thing that is to be shared evenly.
        count: how many folds.

    Raises:
        DataError: there are fewer groups than folds.
    """
    groups = len(amounts)
    if groups < count:
        raise DataError(f"cannot make {count} folds of {groups} groups; use fewer folds")
    seats = [groups // count + (k < groups % count) for k in range(count)]
    return _shared_out(amounts, np.ones(groups), seats)


def ratio_parts(
    amounts: pd.DataFrame, images: Sequence[int], ratio: tuple[float, ...]
) -> list[list[str]]:
    """The groups in parts whose images are as the numbers of a ratio, with as much of each column.

    Args:
        amounts: one row per group, one column for each thing that is to be shared evenly.
        images: the number of images of each group.
        ratio: the share of each part, which add up to 1.

    Raises:
        DataError: there are fewer groups than parts.
    """
    if len(amounts) < len(ratio):
        raise DataError(
            f"cannot share {len(amounts)} groups between {len(ratio)} parts; add groups"
        )
    return _shared_out(amounts, np.asarray(images, float), _seats(sum(images), ratio))


def _seats(images: int, ratio: tuple[float, ...]) -> list[int]:
    """Whole numbers of images, at least one each, by largest remainders."""
    exact = [share * images for share in ratio]
    seats = [max(1, int(number)) for number in exact]
    order = sorted(range(len(ratio)), key=lambda k: (seats[k] - exact[k], k))
    for k in order[: max(0, images - sum(seats))]:
        seats[k] += 1
    return seats


def _shared_out(amounts: pd.DataFrame, sizes: np.ndarray, seats: list[int]) -> list[list[str]]:
    """The names of the groups of each part; `seats` are the sizes that the parts should have."""
    names = [str(name) for name in amounts.index]
    values = amounts.to_numpy(dtype=float).reshape(len(names), -1)
    shares = values / np.maximum(values.sum(axis=0), 1)
    # Where not all is possible, a part without any image of a label is the worse.
    matters = np.array([1 if str(name).startswith("without") else 2 for name in amounts.columns])
    sharing = _Sharing(shares, sizes, seats, matters)
    rank = {i: place for place, i in enumerate(sorted(range(len(names)), key=lambda i: _shuffled(
        names[i])))}  # fmt: skip
    most = shares.max(axis=1, initial=0)
    waiting = set(range(len(names)))
    while waiting:
        left = np.array(sorted(waiting))
        holders = (shares[left] > 0).sum(axis=0)
        held = np.flatnonzero(holders)
        # What nobody left holds is done; groups that hold nothing come last.
        column = int(held[np.argmin(holders[held])]) if held.size else None
        next_ = [i for i in waiting if column is None or shares[i, column] > 0]
        weight = sizes if column is None else shares[:, column]
        for i in sorted(next_, key=lambda i: (-weight[i], -most[i], rank[i])):
            sharing.place(i, column)
            waiting.remove(i)
    order = sorted(range(len(names)), key=rank.__getitem__)
    sharing.exchange(order)
    if len(names) <= FEW_GROUPS:
        of_labels = [str(name).startswith(("with ", "without ")) for name in amounts.columns]
        sharing.even_out(np.array(of_labels, bool), np.array(order))
    return [sorted(names[i] for i in np.flatnonzero(sharing.part == k)) for k in range(len(seats))]


class _Sharing:
    """Which part each group is in, and what the parts hold.

    Attributes:
        part: int `[groups]`, the part of each group; -1 before it is placed.
    """

    def __init__(
        self, shares: np.ndarray, sizes: np.ndarray, seats: list[int], matters: np.ndarray
    ) -> None:
        self._shares, self._sizes, self._seats = shares, sizes, np.array(seats, float)
        self._matters = matters
        self._wanted = self._seats / self._seats.sum()
        self._held = np.zeros((len(seats), shares.shape[1]))
        self._filled = np.zeros(len(seats))
        self.part = np.full(len(shares), -1)

    def place(self, group: int, column: int | None) -> None:
        """Put a group into the part with room that has least of a column, by what it should have.

        Of equal parts the one is taken where all columns together end nearest what they should be.
        """
        room = self._seats - self._filled
        open_ = np.flatnonzero(room >= self._sizes[group] / 2)
        empty = np.flatnonzero(self._filled == 0)
        if np.count_nonzero(self.part < 0) <= len(empty):
            open_ = empty  # the last groups, of which each part needs one
        if not open_.size:
            open_ = np.flatnonzero(room == room.max())
        lack = self._wanted[:, None] - self._held
        cost = np.square(lack - self._shares[group]).sum(axis=1) - np.square(lack).sum(axis=1)

        def order(k: int) -> tuple[float, ...]:
            desire = 0.0 if column is None else round(lack[k, column], 12)
            return (-desire, round(cost[k], 12), -room[k], k)

        self._move(group, min(map(int, open_), key=order))

    def _move(self, group: int, to: int) -> None:
        was = self.part[group]
        if was >= 0:
            self._held[was] -= self._shares[group]
            self._filled[was] -= self._sizes[group]
        self._held[to] += self._shares[group]
        self._filled[to] += self._sizes[group]
        self.part[group] = to

    def exchange(self, order: list[int]) -> None:
        """Exchange groups while that gives a part something which it has none of.

        Args:
            order: of the groups, by which ties are decided.
        """
        holds = self._shares > 0
        parts = len(self._seats)
        enough = holds.sum(axis=0) >= parts
        counts = np.array([holds[self.part == k].sum(axis=0) for k in range(parts)])
        tried: set[tuple[int, int]] = set()
        while True:
            lacking = [
                (int(k), int(c))
                for k, c in np.argwhere((counts == 0) & enough)
                if (int(k), int(c)) not in tried
            ]
            if not lacking:
                return
            k, column = max(lacking, key=lambda place: self._matters[place[1]])
            pair = self._best_exchange(holds, counts, enough, k, column, order)
            if pair is None:
                tried.add((k, column))
                continue
            giver, taker = pair
            j = int(self.part[giver])
            difference = holds[giver].astype(int) - holds[taker]
            counts[k] += difference
            counts[j] -= difference
            self._move(giver, k)
            self._move(taker, j)

    def even_out(self, firm: np.ndarray, order: np.ndarray) -> None:
        """Swap groups of one size while that brings two parts nearer to what they should hold.

        No part loses all it has of something, and columns that are `firm` do not get less even.

        Args:
            firm: bool `[columns]`.
            order: of the groups, by which ties are decided.
        """
        parts = range(len(self._seats))
        pairs = [(j, k) for j in parts for k in parts if j < k]
        for _ in range(MOST_SWAPS):
            swaps = (self._best_swap(j, k, firm, order) for j, k in pairs)
            best = max(swaps, key=itemgetter(0), default=None)
            if best is None or best[0] <= LEAST_GAIN:
                return
            _, one, other = best
            j, k = int(self.part[one]), int(self.part[other])
            self._move(one, k)
            self._move(other, j)

    def _best_swap(
        self, j: int, k: int, firm: np.ndarray, order: np.ndarray
    ) -> tuple[float, int, int]:
        """How much nearer the best swap between two parts brings them, and the two groups."""
        ones, others = (order[self.part[order] == part] for part in (j, k))
        if not len(ones) or not len(others):
            return 0.0, -1, -1
        moved = self._shares[ones][:, None] - self._shares[others][None]
        held_j, held_k = self._held[j] - moved, self._held[k] + moved
        off_j, off_k = self._held[j] - self._wanted[j], self._held[k] - self._wanted[k]
        gain = np.square(off_j) - np.square(held_j - self._wanted[j])
        gain = gain + np.square(off_k) - np.square(held_k - self._wanted[k])
        allowed = self._sizes[ones][:, None] == self._sizes[others][None]
        allowed &= (gain[..., firm] >= -LEAST_GAIN).all(axis=-1)
        for before, after in ((self._held[j], held_j), (self._held[k], held_k)):
            allowed &= ((before <= LEAST_GAIN) | (after > LEAST_GAIN)).all(axis=-1)
        total = np.round(np.where(allowed, gain.sum(axis=-1), 0.0), 12)
        place = np.unravel_index(int(total.argmax()), total.shape)
        return float(total[place]), int(ones[place[0]]), int(others[place[1]])

    def _best_exchange(
        self,
        holds: np.ndarray,
        counts: np.ndarray,
        enough: np.ndarray,
        k: int,
        column: int,
        order: list[int],
    ) -> tuple[int, int] | None:
        """A group with a column from another part, and one of part `k`, whose exchange helps most.

        None where every exchange would leave as many parts without something as there are now.
        """
        givers = self._distinct(
            holds,
            [
                i
                for i in order
                if self.part[i] != k and holds[i, column] and counts[self.part[i], column] > 1
            ],
        )
        takers = self._distinct(holds, [i for i in order if self.part[i] == k])
        matters = self._matters * enough
        now = float(((counts == 0) @ matters).sum())
        best: tuple[tuple[float, float], tuple[int, int] | None] = ((now, 0.0), None)
        for giver in givers:
            j = self.part[giver]
            rest = (counts == 0) @ matters
            for taker in takers:
                difference = holds[giver].astype(int) - holds[taker]
                lacking = rest.sum() - rest[j] - rest[k]
                lacking += (counts[k] + difference == 0) @ matters
                lacking += (counts[j] - difference == 0) @ matters
                merit = (float(lacking), self._unevenness(giver, taker))
                if lacking < best[0][0] or (best[1] is not None and merit < best[0]):
                    best = (merit, (giver, taker))
        return best[1]

    def _distinct(self, holds: np.ndarray, groups: list[int]) -> list[int]:
        """The first of all groups of one part and one size that hold the same things."""
        found: dict[tuple[int, float, bytes], int] = {}
        for i in groups:
            found.setdefault((int(self.part[i]), self._sizes[i], holds[i].tobytes()), i)
        return list(found.values())

    def _unevenness(self, giver: int, taker: int) -> float:
        """How far from what they should be two parts would be after an exchange."""
        j, k = self.part[giver], self.part[taker]
        moved = self._shares[giver] - self._shares[taker]
        size = (self._sizes[giver] - self._sizes[taker]) / self._seats.sum()
        total = 0.0
        for part, sign in ((k, 1), (j, -1)):
            total += float(
                np.square(self._held[part] + sign * moved - self._wanted[part]).sum()
                + np.square(
                    self._filled[part] / self._seats.sum() + sign * size - self._wanted[part]
                )
            )
        return round(total, 12)


def _shuffled(name: str) -> str:
    """A sorting key that puts names in a random order, the same everywhere."""
    return hashlib.sha256(name.encode()).hexdigest()
