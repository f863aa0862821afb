"""`python -m app.cli` is `backhaul`: how the hub starts its own processes, whatever PATH says."""

from __future__ import annotations

from app.cli import main

if __name__ == "__main__":
    main(prog_name="backhaul")
