"""Numbers as people type them."""

from __future__ import annotations


def normal(number: str) -> str:
    """The number for a search that forgives case, blanks and a "#" in front. Zeros in front count: they are digits."""
    return "".join(number.casefold().split()).lstrip("#")
