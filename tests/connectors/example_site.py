"""Where the example site is and what its environment holds in tests."""

from __future__ import annotations

from pathlib import Path

from app.core.networks import THIS_MACHINE
from connectors.returnista.samples import ACCOUNT

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "connectors" / "returnista" / "fixtures"
SECRETS = ("test-secret", "next-secret")


def environment(**more: str) -> dict[str, str]:
    """What the example site needs to be told."""
    return {
        "BACKHAUL_ALLOW": THIS_MACHINE,
        "RETURNISTA_ACCOUNT_ID": ACCOUNT,
        "RETURNISTA_API_KEY": "sim-token",
        "RETURNISTA_WEBHOOK_SECRET": SECRETS[0],
        "RETURNISTA_BRIDGE_SECRET": SECRETS[0],
        "ERP_URL": "http://erp.example.com",
        "ERP_TOKEN": "sim-token",
        "WMS_URL": "http://wms.example.com",
        "WMS_TOKEN": "sim-token",
        "WMS_WEBHOOK_SECRET": SECRETS[0],
        "SHOP_URL": "http://shop.example.com",
        "SHOP_TOKEN": "sim-token",
        "SHOP_WEBHOOK_SECRET": SECRETS[0],
        "DIGITAL_RIVER_API_KEY": "sim-token",
        "NSHIFT_USERNAME": "shop",
        "FULFILLMENTTOOLS_URL": "http://fulfillmenttools.example.com",
        "FULFILLMENTTOOLS_API_KEY": "sim-key",
        "FULFILLMENTTOOLS_EMAIL": "hub@example.com",
        "FULFILLMENTTOOLS_PASSWORD": "sim-password",
        "FULFILLMENTTOOLS_WEBHOOK_SECRET": "Bearer sim-secret",
        "NSHIFT_PASSWORD": "sim-token",
        "DIGITAL_RIVER_WEBHOOK_SECRET": SECRETS[0],
        **more,
    }
