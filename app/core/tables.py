"""Tables: the vendor's word to the other's word, both text. From CSV with the header `from,to`, or from YAML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from app.core.exact import shown
from app.core.source import Source
from app.model import Problem

HEADER = ["from", "to"]


class Table(dict[str, str]):
    """A table's words, and the file they stand in, for messages."""

    def __init__(self, words: Mapping[str, str], file: str) -> None:
        super().__init__(words)
        self.file = file


def read_csv(text: str, file: str) -> tuple[dict[str, str], list[Problem]]:
    """The table of a CSV file, and every fault in it. Cells are taken as they are, blanks and zeros included."""
    table: dict[str, str] = {}
    problems: list[Problem] = []

    def report(line: int, what: str, todo: str) -> None:
        problems.append(Problem(file, line, 1, what, todo, "table"))

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            line = reader.line_num
            if line == 1 or (not table and not problems and cells == HEADER):
                if cells != HEADER:
                    report(line, "the first line must be from,to", "write it above the rows")
            elif not cells:
                continue
            elif len(cells) != 2:
                report(
                    line, f"{len(cells)} cells instead of 2", 'write from,to and put a cell with a comma in "quotes"'
                )
            elif not cells[0]:
                report(line, "the first cell is empty", "write the word that is translated")
            elif cells[0] in table:
                report(line, f"{cells[0]!r} is given twice", "keep one row for it")
            else:
                table[cells[0]] = cells[1]
    except csv.Error as error:
        report(reader.line_num, f"no CSV: {error}", "look at the quotes of this line")
    if not text.strip():
        report(1, "the first line must be from,to", "write it above the rows")
    return table, problems


def read_yaml(source: Source) -> tuple[dict[str, str], list[Problem]]:
    """The table of a YAML mapping, and every fault in it: numbers without quotes would lose digits, so are refused."""
    table: dict[str, str] = {}
    problems: list[Problem] = []
    if not isinstance(source.value, dict):
        return table, [Problem(source.file, 1, 1, "no table", "write one `word: 'translation'` a line", "table")]
    for word, translation in source.value.items():
        if isinstance(translation, str):
            table[word] = translation
        else:
            where = source.where((word,))
            what = f"{shown(translation)} without quotes is no text"
            problems.append(Problem(where.file, where.line, where.column, what, f"write '{translation}'", "table"))
    return table, problems
