"""How rows of the ledger are sealed: a digest of each, and of each group of rows a link in a chain. Pure.

A row that was altered has another digest, one that was removed is missed, one that was put in is not expected; and who
changes the seal itself breaks the chain from there on.

A row's digest is over its facts and over the digest of its contents. Contents that are taken out of the row leave their
own digest behind, so that the facts can still be told from forged ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

#: Of each row's SHA-256 so many bytes are kept: nobody finds another row with the same by trying.
KEPT = 16
_NUMBER = 8
_ENTRY = _NUMBER + KEPT
#: What the first seal follows.
START = "0" * 64


def digest(row: Sequence[str | int | float | None]) -> bytes:
    """The digest of a row's values, in the order in which they are given. Text, numbers and None stay apart."""
    return _hashed(row).digest()[:KEPT]


def _hashed(row: Sequence[str | int | float | None]) -> hashlib._Hash:
    found = hashlib.sha256()
    for value in row:
        part = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
        found.update(f"{_KINDS[type(value)]}{len(part)}:".encode())
        found.update(part)
    return found


def contents_digest(contents: Sequence[str | int | float | None]) -> str:
    """The digest of the contents of a row, whole and in hex."""
    return _hashed(contents).hexdigest()


def row_digest(facts: Sequence[str | int | float | None], contents: str) -> bytes:
    """The digest of a row by its facts and the `contents_digest` of its contents."""
    return digest((*facts, contents))


_KINDS = {type(None): "n", bool: "b", int: "i", float: "f", str: "t"}


def pack(digests: Mapping[int, bytes]) -> bytes:
    """Numbers of rows with their digests, as a seal keeps them."""
    return b"".join(number.to_bytes(_NUMBER, "big") + digests[number] for number in sorted(digests))


def unpack(packed: bytes) -> dict[int, bytes]:
    """What `pack` made. Raises ValueError for what it cannot have made."""
    if len(packed) % _ENTRY:
        raise ValueError("it is cut off")
    entries = (packed[at : at + _ENTRY] for at in range(0, len(packed), _ENTRY))
    found = {int.from_bytes(entry[:_NUMBER], "big"): entry[_NUMBER:] for entry in entries}
    if any(later <= earlier for earlier, later in pairwise(found)) or len(found) * _ENTRY != len(packed):
        raise ValueError("its rows are out of order")
    return found


def link(before: str, table: str, last: int, packed: bytes) -> str:
    """The chain's value after a seal: SHA-256 in hex over the value before it and all that the seal says."""
    said = f"{before}|{table}|{last}|{len(packed)}|".encode()
    return hashlib.sha256(said + packed).hexdigest()


def compare(sealed: Mapping[int, bytes], found: Mapping[int, bytes]) -> Iterator[tuple[int, str]]:
    """(number of the row, what happened to it) for each row that is not as it was sealed."""
    for number in sorted(sealed.keys() | found.keys()):
        if number not in found:
            yield number, "was removed"
        elif number not in sealed:
            yield number, "was put in later"
        elif sealed[number] != found[number]:
            yield number, "was altered"
