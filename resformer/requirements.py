"""What a network asks of its image size, its tasks and its options, and how it refuses.

Every `build` of `resformer` and `baselines` checks its arguments here, so that a wrong one
is refused in one wording: who refuses, what was given, what would work.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class SizeRule:
    """Which image heights and widths a method takes.

    Attributes:
        method: Name of the method, for the message.
        multiple: Height and width must be multiples of this many pixels.
        minimum: Smallest height and width in pixels.
        exact: The only height and width taken, for networks whose position tables are made for
            one size; `None` where any size that fits the other two will do.
    """

    method: str
    multiple: int
    minimum: int
    exact: int | None = None

    def check(self, height: int, width: int) -> None:
        """Refuse a size that the method cannot take.

        Args:
            height: Image height in pixels.
            width: Image width in pixels.

        Raises:
            ValueError: Naming the method, the size given and the sizes that work.
        """
        sides = (height, width)
        if self.exact is not None and sides != (self.exact, self.exact):
            raise ValueError(
                f"{self.method}: an image of {height}×{width} pixels does not fit a network built "
                f"for {self.exact}×{self.exact}; resize it, or build with another image_size"
            )
        if any(side < self.minimum or side % self.multiple for side in sides):
            allowed = f"at least {self.minimum} pixels"
            if self.multiple > 1:
                allowed = f"multiples of {self.multiple}, {allowed}"
            raise ValueError(
                f"{self.method}: an image of {height}×{width} pixels does not work; "
                f"height and width must be {allowed}"
            )


def require_outputs(method: str, argument: str, outputs: int | None) -> int:
    """Return the number of outputs of a task that the method cannot go without.

    Args:
        method: Name of the method, for the message.
        argument: Name of the argument, `n_seg` or `n_cls`.
        outputs: Its value.

    Raises:
        ValueError: If the number is missing or below one.
    """
    if outputs is None or outputs < 1:
        raise ValueError(f"{method}: {argument} is {outputs}; this method needs 1 or more")
    return outputs


def require_choice(method: str, option: str, value: object, allowed: Collection[object]) -> None:
    """Refuse an option value outside a closed list.

    Raises:
        ValueError: Naming the method, the option, the value given and the values allowed.
    """
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        raise ValueError(f"{method}: {option} is {value!r}; choose one of {choices}")
