"""Writes docs/reference.md anew: `python -m docs.generate`. A test fails when it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from app.adapters.files import schemas
    from app.core.reference_docs import reference

    path = ROOT / "docs" / "reference.md"
    path.write_text(reference(schemas()), encoding="utf-8")
    print(path)
