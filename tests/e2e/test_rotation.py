"""Secrets are changed while events come in, as docs/security.md says: no event is lost, none is delivered twice."""

from __future__ import annotations

from signal import SIGTERM
from typing import Any

import yaml

from tests.e2e.stack import TOKEN, Simulator, Stack, wait_for
from tests.e2e.test_main_job import announced, spec, wait_announced

NEW_SECRET, NEW_TOKEN = "a-newer-webhook-secret", "a-newer-token"


def change(stack: Stack, connection: str, settings: dict[str, Any]) -> None:
    """Write other settings of a connection, and start the processes that use them again."""
    path = stack.site / "config" / "connections.yaml"
    content = yaml.safe_load(path.read_text())
    content["connections"][connection]["settings"] |= settings
    stack.write("config/connections.yaml", content)
    for name in ("web", "worker"):
        stack.kill(name, SIGTERM)
        stack.start(name)
    stack.wait_ready()


def known(stack: Stack, *names: str) -> None:
    """Orders and returns of these names, at ERP and platform."""
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"E-{one}", "externalNumber": one} for one in names]})
    for name in names:
        stack.seed_return(**spec(name, name))


def send(stack: Stack, name: str, **details: Any) -> list[int]:
    return stack.send_label(f"{name}-p1", **details)


def send_until_taken(stack: Stack, name: str, **details: Any) -> None:
    """As a vendor does: again until it is answered."""
    wait_for(f"{name} is taken", lambda: send(stack, name, **details) == [200])


def test_a_webhook_secret_is_changed_without_an_event_refused(fresh_stack: Stack) -> None:
    stack = fresh_stack
    names = [f"turn{number}" for number in range(6)]
    known(stack, *names)
    stack.env["NEW_SECRET"] = NEW_SECRET
    send_until_taken(stack, names[0])
    change(stack, "returnista_eu", {"webhook_secrets": ["${SIM_SECRET}", "${NEW_SECRET}"]})
    assert send(stack, names[1]) == [200]
    assert send(stack, names[2], secret=NEW_SECRET) == [200]
    assert send(stack, names[3]) == [200]
    change(stack, "returnista_eu", {"webhook_secrets": ["${NEW_SECRET}"]})
    assert send(stack, names[4], secret=NEW_SECRET) == [200]
    assert send(stack, names[5]) == [401]
    for name in names[:5]:
        wait_announced(stack, name)
    assert [len(announced(stack, name)) for name in names] == [1, 1, 1, 1, 1, 0]


def test_a_targets_credential_is_changed_at_the_target_first_and_what_it_refused_is_delivered(
    fresh_stack: Stack,
) -> None:
    stack = fresh_stack
    known(stack, "before", "between", "after")
    stack.env["WMS_TOKEN"] = TOKEN
    change(stack, "wms_eu", {"token": "${WMS_TOKEN}"})
    send_until_taken(stack, "before")
    wait_announced(stack, "before")
    with_new_token(stack)
    assert send(stack, "between") == [200]
    wait_for("the pause", lambda: "paused" in stack.cli("doctor", check=False))
    stack.env["WMS_TOKEN"] = NEW_TOKEN
    change(stack, "wms_eu", {"token": "${WMS_TOKEN}"})
    stack.cli("resume", "wms_eu")
    assert send(stack, "after") == [200]
    for name in ("between", "after"):
        assert len(wait_announced(stack, name)) == 1


def with_new_token(stack: Stack) -> None:
    """The warehouse at the same address, which takes another token from now on."""
    port = stack.wms.url.rpartition(":")[2]
    stack.wms.process.kill()
    stack.wms.process.wait(10)
    stack.wms.port_file.unlink()
    stack.wms = Simulator("generic_wms", stack.folder, "--token", NEW_TOKEN, "--port", port)
    assert stack.wms.url.endswith(port)
