"""The site of the hub between a shop and Digital River: connections, routes, an invented shop, an order."""

from __future__ import annotations

SECRETS = ("whsec_dr_test_token", "whsec_dr_next_token")
#: The fulfillment order of most tests: three shirts and a mug were shipped.
ORDER = {
    "id": 9292981838,
    "order": "192251820336",
    "items": [
        {"id": 12345678901234567890, "order_item": "8001", "article": "TEE-RED-M", "quantity": 3, "price": "10.00"},
        {"id": 2222222222, "order_item": "8002", "article": "0012345", "quantity": 1, "price": "25.50"},
    ],
}
SHIRT, MUG = "12345678901234567890", "2222222222"

CONNECTIONS = """
connections:
  shop: {connector: acme_shop, settings: {base_url: "http://shop.example.com"}}
  digital_river:
    connector: digital_river
    settings:
      base_url: ${DR_URL}
      api_key: ${DR_KEY}
      live: false
      webhook_secrets: ["${DR_SECRET_1}", "${DR_SECRET_2}"]
MORE
    limits: {rate: 100000/s}
"""
ROUTES = """
routes:
  - route: ask_for_it_back
    change: return.registered
    source: shop
    calls:
      - {to: digital_river.get_fulfillment_order, mapping: return.to_digital_river_order}
      - {to: digital_river.create_fulfillment_return, mapping: return.to_digital_river_return}
  - route: pay_back
    change: line.accepted
    source: digital_river
    confirm: true
    calls:
      - {to: digital_river.get_fulfillment_order, mapping: return.to_digital_river_return_order}
      - {to: digital_river.create_refund, mapping: return.to_digital_river_refund}
"""
#: A shop whose returns are decided by itself: the refund is Digital River's all the same.
LINE_ROUTES = """
routes:
  - route: pay_back
    change: line.accepted
    source: shop
    calls:
      - {to: digital_river.get_fulfillment_order, mapping: return.to_digital_river_line_order}
      - {to: digital_river.create_refund, mapping: return.to_digital_river_line_refund}
"""
FILES = {
    "connectors/acme_shop/connector.yaml": """
connector: acme_shop
settings: {base_url: {required: true}}
inbound:
  verify: {scheme: none}
  event_id: "{{ payload.event }}"
  event_type: told
  types: {told: return}
  mapping: acme_shop.to_return
""",
    "mappings/acme_shop.to_return.yaml": """
mapping: acme_shop.to_return
document:
  id: "{{ payload.return }}"
  number: "{{ payload.return }}"
  source: shop
  updated_at: "{{ payload.at }}"
  orders: [{number: "{{ payload.order }}"}]
  lines: "{{ payload.lines }}"
""",
    "mappings/return.to_acme_shop.yaml": """
mapping: return.to_acme_shop
references:
  theirs: {kind: fulfillment_return, from: digital_river, to: shop, id: "{{ return.id }}"}
args: {id: "{{ return.id }}"}
""",
}
