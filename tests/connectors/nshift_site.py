"""The files of the hub that the tests of nShift's flows use: a warehouse and a shop that send documents as they are."""

from __future__ import annotations

_PLAIN = """
connector: {name}
settings: {{base_url: {{default: "https://{name}.example.com"}}}}
auth: {{scheme: none}}
inbound:
  verify: {{scheme: none}}
  event_id: "{{{{ payload.id }}}}"
  event_type: "{{{{ payload.type }}}}"
  types: {{{kind}: {kind}}}
  mapping: {name}.to_{kind}
"""
_BOTH = (
    "id",
    "number",
    "source",
    "updated_at",
    "version",
    "state",
    "market",
    "currency",
    "lines",
    "customer",
    "ship_to",
)
_RETURN = (*_BOTH, "upstream", "orders", "parcels")
_ORDER = (*_BOTH, "created_at", "shipped_at", "alternatives", "totals", "shipping")


def _as_it_is(name: str, kind: str, fields: tuple[str, ...]) -> str:
    rows = [f'  {field}: "{{{{ payload.document.{field} | default(omit) }}}}"' for field in fields]
    return "\n".join([f"mapping: {name}.to_{kind}", "document:", *rows, ""])


FILES = {
    "connectors/acme_dock/connector.yaml": _PLAIN.format(name="acme_dock", kind="return"),
    "mappings/acme_dock.to_return.yaml": _as_it_is("acme_dock", "return", _RETURN),
    "connectors/acme_store/connector.yaml": _PLAIN.format(name="acme_store", kind="order"),
    "mappings/acme_store.to_order.yaml": _as_it_is("acme_store", "order", _ORDER),
    "mappings/references/order.yaml": "reference: order\nfrom: store\nto: erp\nsteps: [stored: true]\n",
    "config/routes.yaml": """
routes:
  - route: tell_nshift
    change: return.decided
    source: dock
    calls:
      - {to: nshift.check_return, mapping: return.to_nshift_lookup}
      - {to: nshift.wms_update, mapping: return.to_nshift_wms_update}
      - {to: nshift.confirm_processed, mapping: return.to_nshift_confirmation}
""",
}
#: Needs `order` documents and their changes.
ORDER_ROUTES = "".join(
    f"""
  - route: push_{change.replace(".", "_")}
    change: {change}
    source: store
    calls: [{{to: nshift.push_orders, mapping: order.to_nshift_orders}}]
"""
    for change in ("order.placed", "order.changed", "order.cancelled")
)
