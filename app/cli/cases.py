"""`backhaul test`: the YAML cases of mappings, routes and connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, print_json

if TYPE_CHECKING:
    from app.pipeline.cases import Case


@click.command("test")
@click.argument("names", nargs=-1)
@json_option
@pass_cli
def test_command(cli: Cli, names: tuple[str, ...], as_json: bool) -> None:
    """Run the cases of all mappings, routes and connectors, or of those whose name holds one of NAMES. Uses no network.

    A failure names the file and line of its case and every difference; then it ends with 1.
    """
    from app.pipeline.cases import run_cases

    # Cases bring their own settings: a secret that is not set, or no connection yet, is no reason to skip them.
    site = cli.site(allow_missing_env=True, need_connections=False, whole=True)
    bootstrap.quiet_log()
    run = [
        case
        for case in run_cases(site, bootstrap.case_files(cli.settings))
        if not names or any(name in case.of for name in names)
    ]
    failed = [case for case in run if case.faults]
    if as_json:
        print_json([_as_json(case) for case in run])
    else:
        for case in failed:
            click.echo(f"{case.where} {case.of}: {case.name}")
            for fault in case.faults:
                click.echo(f"    {fault}")
        click.echo(f"{len(run) - len(failed)} passed" + (f", {len(failed)} failed" if failed else ""))
    if failed:
        raise click.exceptions.Exit(1)


def _as_json(case: Case) -> dict[str, object]:
    where = {"file": case.where.file, "line": case.where.line}
    return {**where, "of": case.of, "name": case.name, "passed": not case.faults, "faults": list(case.faults)}
