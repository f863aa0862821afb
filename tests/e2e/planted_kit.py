"""A hub all of whose secrets are planted, and what happens in it to a planted person."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from connectors.returnista.samples import build_return_order
from tests.e2e.stack import ROOT, Simulator, Stack, wait_for
from tests.e2e.test_main_job import spec, wait_announced, wait_delivery

SECRETS = {
    "PLATFORM_KEY": "sk-planted-platform-7d1f",
    "PLATFORM_SECRET": "whsec-planted-hook-93ab",
    "OLD_SECRET": "whsec-planted-old-55cd",
    "ERP_TOKEN": "planted-erp-token-c0ffee",
    "WMS_TOKEN": "planted-wms-token-decade",
    "HUB_API_TOKEN": "planted-hub-token-facade",
    "SHOP_TOKEN": "planted-shop-token-beaded",
    "BRIDGE_SECRET": "bhsec-planted-question-2b7e",
    "DATABASE_PASSWORD": "pg-planted-pass-60d5",
}
PERSON = {
    "first name": "Plantedina",
    "last name": "O'Vörnamsen",
    "e-mail": "planted.person+box@mail.example",
    "phone": "+31 6 1917 2233",
    "street": "Plantedlaan",
    "postal code": "9917 ZX",
    "account": "NL91PLNT0417164300",
}
#: What changed then is in no look of the poll: only messages tell of it.
LONG_AGO = "2026-01-01T00:00:00.000Z"


#: Carries out commands one after the other in one process: it takes a second to start.
_ALL = """
import json, sys, traceback
from click.testing import CliRunner
from app.cli import main
told = {}
for command in json.load(sys.stdin):
    done = CliRunner().invoke(main, command)
    wrong = done.exc_info if done.exception and not isinstance(done.exception, SystemExit) else None
    told[" ".join(command)] = done.output + ("".join(traceback.format_exception(*wrong)) if wrong else "")
json.dump(told, sys.stdout)
"""


class PlantedStack(Stack):
    """A hub all of whose credentials are planted."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.shop = Simulator("generic_shop", folder, "--token", SECRETS["SHOP_TOKEN"])
        super().__init__(folder, database_url)
        for simulator in (self.platform, self.erp, self.wms):
            simulator.process.kill()
            simulator.process.wait(10)
        for name in ("returnista", "generic_erp", "generic_wms"):
            (folder / f"{name}.port").unlink(missing_ok=True)
        platform = ("--token", SECRETS["PLATFORM_KEY"], "--secret", SECRETS["PLATFORM_SECRET"])
        self.platform = Simulator("returnista", folder, *platform)
        self.erp = Simulator("generic_erp", folder, "--token", SECRETS["ERP_TOKEN"])
        self.wms = Simulator("generic_wms", folder, "--token", SECRETS["WMS_TOKEN"])
        self.rewrite_connections()
        (self.site / "config/flows").mkdir()
        (self.site / "config/flows/bridge.yaml").write_text((ROOT / "config/flows/bridge.yaml").read_text("utf-8"))
        self.env |= SECRETS

    def rewrite_connections(self) -> None:
        """With a secret of its own for everything, a poll, and a shop that a bridge asks."""
        super().rewrite_connections()
        known = yaml.safe_load((self.site / "config/connections.yaml").read_text())["connections"]
        known["returnista_eu"]["settings"]["api_key"] = "${PLATFORM_KEY}"
        known["returnista_eu"]["settings"]["webhook_secrets"] = ["${PLATFORM_SECRET}", "${OLD_SECRET}"]
        known["erp"]["settings"]["token"], known["wms_eu"]["settings"]["token"] = "${ERP_TOKEN}", "${WMS_TOKEN}"
        known["returnista_eu"]["poll"] = {"changed_returns": "1s"}
        known["store"] = {
            "connector": "generic_shop",
            "settings": {"base_url": self.shop.url, "token": "${SHOP_TOKEN}"},
            "limits": {"timeout": "3s"},
        }
        known["returnista_bridge"] = {
            "connector": "returnista_bridge",
            "settings": {"secrets": ["${BRIDGE_SECRET}"]},
            "limits": {"timeout": "3s"},
        }
        self.write("config/connections.yaml", {"connections": known})

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.shop.process.kill()
        self.shop.process.wait(10)

    def ask(self, path: str, question: dict[str, Any], secret: str = SECRETS["BRIDGE_SECRET"]) -> int:
        """Let the platform ask a bridge; the status of the answer."""
        wanted = {"url": f"{self.url}/bridge/returnista_bridge/{path}", "request": question, "secret": secret}
        return int(self.platform.post("/_sim/ask", wanted)["statuses"][0])

    def told(self, commands: Sequence[Sequence[str]]) -> dict[str, str]:
        """What each of these commands says, on either stream and whether it fails or not."""
        done = subprocess.run(
            [sys.executable, "-c", _ALL],
            input=json.dumps(commands),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "on stderr": done.stderr}

    def api(self, path: str, **params: Any) -> Any:
        """GET from the HTTP API, with the planted token."""
        headers = {"Authorization": f"Bearer {SECRETS['HUB_API_TOKEN']}"}
        return self.http.get(f"{self.url}/api/{path}", headers=headers, params=params, timeout=20).json()

    def get(self, path: str) -> str:
        """What the hub answers, whole."""
        headers = {"Authorization": f"Bearer {SECRETS['HUB_API_TOKEN']}"}
        answer = self.http.get(self.url + path, headers=headers, timeout=20)
        return f"{answer.status_code} {answer.headers} {answer.text}"


def happen(stack: PlantedStack) -> None:
    """A label, a failing target, a refusal, a refused credential, an unknown word, a return that only a poll tells of,
    questions of a bridge, and requests that are no good."""
    names = ("good", "busy", "dead", "shut")
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"E-{one}", "externalNumber": f"p{one}"} for one in names]})
    stack.wms.post("/_sim/seed", {"refuse": ["ro-pdead/pdead"]})
    stack.platform.post("/_sim/seed", {"return_orders": [order(f"p{one}") for one in names]})
    stack.wms.misbehave("announce_return", "503", times=1)
    for name in names[:3]:
        assert stack.send_label(f"p{name}-p1") == [200]
    wait_announced(stack, "pgood", seconds=40)
    wait_announced(stack, "pbusy", seconds=40)
    wait_delivery(stack, "pdead", "dead", seconds=40)
    stack.wms.misbehave("announce_return", "401", times=None)
    stack.send_label("pshut-p1")
    wait_for("the pause", lambda: "paused" in stack.cli("doctor", check=False))
    stack.wms.behave()
    stack.cli("resume", "wms_eu")
    wait_announced(stack, "pshut", seconds=40)
    polled(stack)
    asked(stack)
    label = ROOT / "connectors/returnista/fixtures/shipment.label_created__one_parcel.json"
    odd = {**json.loads(label.read_text("utf-8")), "event": "shipment.exploded", "consumer": PERSON}
    for name, message in (("unknown", odd), ("unreadable", {"type": "shipment.exploded", "consumer": PERSON})):
        (stack.folder / "odd.json").write_text(json.dumps(message))
        assert "evt_" in stack.cli("send", "returnista_eu", f"{stack.folder}/odd.json", "--url", stack.url, check=False)
        assert len(stack.api("events", state=name)["events"]) == 1, name
    spoiled = json.dumps(PERSON).encode()
    for path in ("returnista_eu", "nobody", f"returnista_eu?email={quote(PERSON['e-mail'])}"):
        stack.http.post(f"{stack.url}/webhooks/{path}", data=spoiled, headers={"webhook-id": PERSON["account"]})
    stack.http.post(f"{stack.url}/webhooks/returnista_eu", data=b"\xff{" + spoiled)
    for path in (f"/no?mail={PERSON['e-mail']}", f"/api/events/{PERSON['account']}", "/api/events?limit=x"):
        stack.http.get(stack.url + path, headers={"Authorization": f"Bearer {SECRETS['OLD_SECRET']}"})


def polled(stack: PlantedStack) -> None:
    """A return that no message tells of, from a list that cannot be read at first."""
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-poll", "externalNumber": "ppoll"}]})
    stack.platform.misbehave("list_return_orders", "503", times=1)
    just_now = datetime.now(UTC) - timedelta(seconds=90)
    stack.platform.post("/_sim/seed", {"return_orders": [order("ppoll", just_now.strftime("%Y-%m-%dT%H:%M:%S.000Z"))]})
    wait_announced(stack, "ppoll", seconds=40)


def asked(stack: PlantedStack) -> None:
    """A question about a person, one that has an effect, one that the shop does not answer, and one that is forged."""
    names = {"firstName": PERSON["first name"], "lastName": PERSON["last name"]}
    there = json.loads((ROOT / "connectors/generic_shop/fixtures/get_order__two_lines.json").read_text("utf-8"))
    there |= {"email": PERSON["e-mail"]}
    there["customer"] |= names
    there["shipTo"] |= {**names, "street": PERSON["street"], "postalCode": PERSON["postal code"]}
    stack.shop.post("/_sim/seed", {"orders": [there]})
    whose = {"orderNumber": "#1004800", "email": PERSON["e-mail"], "includeOtherOrders": True}
    fixture = ROOT / "connectors/returnista_bridge/fixtures/resolve-return__refund.json"
    refund = {**json.loads(fixture.read_text("utf-8")), **names, "email": PERSON["e-mail"]}
    assert stack.ask("get-purchases", whose) == stack.ask("resolve-return", refund) == 200
    assert stack.ask("get-purchases", whose, secret="another") == 401
    stack.shop.misbehave("get_order", "503", times=None)
    assert stack.ask("get-purchases", whose) >= 500
    stack.shop.behave()
    stack.shop.misbehave("resolve_return", "503", times=None)
    assert stack.ask("resolve-return", {**refund, "transactionId": "t-1002"}) >= 500
    stack.shop.behave()


def order(name: str, at: str = LONG_AGO) -> dict[str, Any]:
    """A return order of the planted person, which changed at that time."""
    made = build_return_order({**spec(name, name), "updated_at": at})
    names = {"firstName": PERSON["first name"], "lastName": PERSON["last name"]}
    made["consumer"] |= {**names, "email": PERSON["e-mail"], "phoneNumber": PERSON["phone"]}
    for parcel in made["shipments"]:
        parcel["sender"] |= {**names, "street": PERSON["street"], "postalCode": PERSON["postal code"]}
    made["returnRequests"][0]["returnReasonComment"] = f"pay to {PERSON['account']}, mail {PERSON['e-mail']}"
    return made
