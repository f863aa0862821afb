"""Writes docs/reference.md and docs/openapi.json anew: `python -m docs.generate`. A test fails when one is stale."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from app.adapters.files import schemas
    from app.core.reference_docs import reference
    from app.web.openapi import written

    for name, text in (("reference.md", reference(schemas())), ("openapi.json", written())):
        path = ROOT / "docs" / name
        path.write_text(text, encoding="utf-8")
        print(path)
