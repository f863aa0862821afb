"""Reads the files that YAML cases name: a connector's tests.yaml, fixtures and expected bodies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.core.jsontext import loads
from app.core.source import Where
from app.core.yamltext import parse_yaml
from app.errors import ConfigError, DataError
from app.model import Json, Problem

_CASES = "tests.yaml"


class CaseFiles:
    """The files of a site and, beneath them, those shipped with the hub."""

    def __init__(self, site: Path, shipped: Path) -> None:
        self._site, self._shipped = site, shipped

    def cases(self, folder: Path) -> list[tuple[Mapping[str, Json], Where]]:
        """The cases of a connector's tests.yaml with their places; none when there is no such file.

        Raises `ConfigError` for a file that is no list of cases.
        """
        path = folder / _CASES
        if not path.is_file():
            return []
        source, problems = parse_yaml(path.read_text(encoding="utf-8"), self._shown(path))
        if problems:
            raise ConfigError(problems)
        cases = source.value.get("cases") if isinstance(source.value, dict) else None
        if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
            raise ConfigError(
                [Problem(source.file, 1, 1, "is no list of cases", "write `cases:` with a list below it")]
            )
        return [(case, source.where(("cases", number))) for number, case in enumerate(cases)]

    def value(self, name: str, *folders: Path) -> Json:
        """The JSON of a file, looked for in these folders, then in the site and among what is shipped."""
        for folder in (*folders, self._site, self._shipped):
            path = folder / name
            if path.is_file():
                try:
                    return loads(path.read_bytes())
                except DataError as error:
                    raise DataError(f"{self._shown(path)}: {error}") from None
        raise DataError(f"there is no file {name!r}", todo=f"it was looked for in {', '.join(map(str, folders))}")

    def place(self, where: Where) -> Path:
        """The folder of the file in which something stands."""
        for root in (self._site, self._shipped):
            if (root / where.file).is_file():
                return (root / where.file).parent
        return Path(where.file).parent

    def _shown(self, path: Path) -> str:
        for root in (self._site, self._shipped):
            if path.is_relative_to(root):
                return str(path.relative_to(root))
        return str(path)
