"""Help for words that were mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: Up to so many words are listed when none is near.
_FEW = 12


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown word: the nearest known one, else the list of the known ones."""
    options = sorted(set(known))
    lowered = {option.lower(): option for option in options}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    if not options:
        return "there are none here"
    listed = ", ".join(options[:_FEW])
    return f"known here: {listed}" + (", …" if len(options) > _FEW else "")
