"""The YAML cases that `backhaul test` runs: all of them pass here too."""

from __future__ import annotations

from app.adapters.case_files import CaseFiles
from app.core.site import Site
from app.pipeline.cases import run_cases
from tests.connectors.example_site import ROOT


def test_every_case_of_connectors_and_mappings_passes(site: Site) -> None:
    cases = list(run_cases(site, CaseFiles(ROOT, ROOT)))
    failed = [f"{case.where} {case.of}: {case.name}: {'; '.join(case.faults)}" for case in cases if case.faults]
    assert not failed, "\n".join(failed)
    told = {case.of for case in cases}
    assert told >= {f"connector {name}" for name in ("returnista", "generic_erp", "generic_wms")}
    assert told >= {f"mapping {name}" for name in site.mappings}
