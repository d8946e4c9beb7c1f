"""Addresses of the image browser: what it shows is said by the fragment of its page."""

from urllib.parse import quote

PAGE = "images.html"


def case_link(
    dataset: str, image: str | None = None, method: str | None = None, seed: int | None = None
) -> str:
    """The address of a data set, of one of its images, or of what a method made of them.

    Args:
        dataset: key of the data set.
        image: id of a test image; None leaves the choice to the page, as everything that is None.
        method: key of a method.
        seed: the seed of the method's run.

    Returns:
        The address from the report's folder; any text may stand in it.
    """
    said = {"d": dataset, "i": image, "m": method, "s": seed}
    pairs = (f"{key}={quote(str(one), safe='')}" for key, one in said.items() if one is not None)
    return f"{PAGE}#{'&'.join(pairs)}"
