"""`python -m app.cli` is `backhaul`: how the hub starts its own processes, whatever PATH says."""

from __future__ import annotations

from app.cli import main

main(prog_name="backhaul")
