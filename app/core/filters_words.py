"""Filters for the words of vendors who do not always write them alike."""

from __future__ import annotations

import re
from typing import Any

from app.core.exact import text_of
from app.core.filter_kit import Example, Filter

_BETWEEN = re.compile(r"[\s_-]+")


def _plain_word(value: Any) -> str:
    return _BETWEEN.sub("", text_of(value)).lower()


FILTERS = (
    Filter(
        "plain_word",
        "plain_word",
        "A vendor's word in small letters, without blanks, hyphens and underscores.",
        _plain_word,
        (
            Example("'Not Processed' | plain_word", "notprocessed"),
            Example("'pre_approval' | plain_word", "preapproval"),
        ),
    ),
)
