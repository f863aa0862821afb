"""The example site for a run: its own files, but for times and limits that let a run see everything happen."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from app.bootstrap import project_folder

#: How long work is claimed for, in seconds.
LEASE_S = 10.0
#: Fast enough to see a retry, a recheck, a breaker's trial and the end of a lease within seconds.
HUB: dict[str, Any] = {
    "lease": f"{LEASE_S:g}s",
    "retry": {"first": "300ms", "factor": 2, "longest": "2s", "give_up_after": "24h"},
    "parked": {"recheck": "4s", "longest": "60s", "alarm": "1h"},
    "breaker": {"failures": 20, "open": "1s", "longest": "4s"},
    "api_token": "${BACKHAUL_API_TOKEN}",
}
#: A call ends well before its lease does.
TIMEOUT_S = 3.0
_LIMITS = {"rate": "2000/s", "concurrency": 8, "timeout": f"{TIMEOUT_S:g}s"}
_EVERY = "10s"
#: Vendors' lists lag behind; the simulators' do not, and a run is shorter than what is waited for them.
_BEHIND = re.compile(r"\bbehind: \d+[smhd]")
_POLL = re.compile(r"^  - poll: (\w+)", re.MULTILINE)

#: A return of the platform with one of these ids is poison: its announcement kills whoever makes it, or its mapping
#: makes more than the language allows.
POISON_CALL, POISON_MAPPING = "CHAOS-POISON-CALL", "CHAOS-POISON-MAPPING"
#: The route and the mapping of the second.
POISON_ROUTE = "chaos_poison"
_POISON = {
    f"config/flows/{POISON_ROUTE}.yaml": f"""
routes:
  - route: {POISON_ROUTE}
    change: return.labelled
    source: returnista_eu
    when: "{{{{ return.id == '{POISON_MAPPING}' }}}}"
    calls:
      - {{to: wms_eu.announce_return, mapping: return.to_{POISON_ROUTE}}}
""",
    f"mappings/return.to_{POISON_ROUTE}.yaml": f"""
mapping: return.to_{POISON_ROUTE}
body:
  rmaNumber: "{{{{ return.id }}}}/poison"
  lines:
    $each: "{{{{ 9999 | split_quantity(1) }}}}"
    $as: one
    $do:
      sku: "{{{{ 9999 | split_quantity(1) | map('text') | join(return.id) }}}}"
      quantity: 1
""",
}


def write(site: Path, lines: Mapping[str, Sequence[str]] | None = None, hub: Mapping[str, Any] | None = None) -> None:
    """Make the site in this folder, which must not be there; `lines` are added to its files, by their path. `hub` are
    words of hub.yaml that count instead of `HUB`'s."""
    root = project_folder()
    shutil.copytree(root / "config", site / "config", ignore=shutil.ignore_patterns("demo", "demo.yaml"))
    shutil.copytree(root / "mappings", site / "mappings")
    _dump(site / "config" / "hub.yaml", {"hub": {**HUB, **(hub or {})}})
    told = yaml.safe_load((root / "config" / "connections.yaml").read_text(encoding="utf-8"))
    for connection in told["connections"].values():
        polls = _take_connector(root, site, connection["connector"])
        connection["limits"] = dict(_LIMITS)
        if connection.get("poll"):
            wanted = polls if connection["poll"] is True else connection["poll"]
            connection["poll"] = {name: _EVERY for name in wanted}
    _dump(site / "config" / "connections.yaml", told)
    # Without a look-up a lost answer waits for a person, and holds back what follows: there is none in a run.
    flow = site / "config" / "flows" / "order_push.yaml"
    flow.write_text(flow.read_text(encoding="utf-8").replace("nshift.push_orders,", "nshift.push_orders_repeatable,"))
    for file, more in (lines or {}).items():
        with (site / file).open("a", encoding="utf-8") as table:
            table.writelines(f"{line}\n" for line in more)
    for file, text in _POISON.items():
        (site / file).write_text(text.lstrip(), encoding="utf-8")


def _take_connector(root: Path, site: Path, name: str) -> list[str]:
    """Copy a connector with windows that end now; the names of its polls."""
    source, target = root / "connectors" / name, site / "connectors" / name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.py", "__pycache__", "README.md"))
    file = target / "connector.yaml"
    text = _BEHIND.sub("behind: 1s", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    return _POLL.findall(text)


def _dump(file: Path, content: Any) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
