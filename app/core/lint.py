"""What `check` finds across files: names that lead nowhere, routes that can never match, files that are not there."""

from __future__ import annotations

from app.core import lint_bridges, lint_connectors, lint_files, lint_mappings, lint_needs, lint_routes
from app.core.lint_material import Material


def cross_check(material: Material) -> None:
    """Report every fault across files."""
    lint_connectors.check(material)
    lint_mappings.check(material)
    lint_routes.check(material)
    lint_bridges.check(material)
    lint_needs.check(material)
    lint_files.check(material)
