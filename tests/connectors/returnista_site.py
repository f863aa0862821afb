"""The site of the hub between Returnista and an invented shop: connections, routes, bridges."""

from __future__ import annotations

SECRET, BRIDGE_SECRET, BRIDGE_TOKEN = "whsec-test", "bridge-secret", "bridge-token"
CONNECTIONS = """
connections:
  returnista_eu:
    connector: returnista
    poll: true
    settings:
      base_url: ${RETURNISTA_URL}
      account_id: ${ACCOUNT}
      api_key: ${KEY}
      webhook_secrets: ["${SECRET}"]
MORE
    limits: {rate: 100000/s}
  portal:
    connector: returnista_bridge
    settings: {proof: PROOF, secrets: ["${BRIDGE_SECRET}"], tokens: ["${BRIDGE_TOKEN}"]}
  shop: {connector: acme_shop, settings: {base_url: "${SHOP_URL}"}}
"""
ROUTES = """
routes:
  - route: settle
    change: line.accepted
    source: returnista_eu
    confirm: true
    calls:
      - {to: shop.settle, mapping: return.to_acme_settlement}
      - {to: returnista_eu.update_resolution, mapping: return.to_returnista_resolution}
"""
BRIDGES = """
bridges:
  - bridge: get_purchases
    source: portal
    path: get-purchases
    calls:
      - {to: shop.get_order, mapping: returnista_purchases.to_shop_lookup}
      - to: shop.list_orders
        mapping: returnista_purchases.to_shop_orders
        when: >-
          {{ request.includeOtherOrders | default(false)
             and answers[0].email | lower == request.email | default('', true) | text | lower }}
    answer: returnista_purchases.from_shop
    empty: {body: []}
    trace: ["{{ request.orderNumber }}"]
  - bridge: resolve_return
    source: portal
    path: resolve-return
    calls: [{to: shop.settle, mapping: returnista_resolution.to_shop}]
    answer: returnista_resolution.from_shop
    once: "{{ request.transactionId }}"
    trace: ["{{ request.transactionId }}"]
  - bridge: get_label
    source: portal
    path: get-label
    calls: [{to: shop.make_label, mapping: returnista_label.to_carrier}]
    answer: returnista_label.from_carrier
    once: "{{ request.shipmentId }}"
"""
FILES = {
    "config/routes.yaml": ROUTES,
    "config/bridges.yaml": BRIDGES,
    "connectors/acme_shop/connector.yaml": """
connector: acme_shop
settings: {base_url: {required: true}}
auth: {scheme: bearer, token: sim-token}
limits: {rate: 100000/s}
operations:
  get_order: {method: GET, path: "/orders/{{ args.number }}"}
  list_orders: {method: GET, path: /orders, query: {email: "{{ args.email }}"}}
  settle:
    method: POST
    path: /settlements
    query: {order: "{{ args.number | default(omit) }}"}
    idempotency: {header: Idempotency-Key}
  make_label: {method: POST, path: /labels, idempotency: {header: Idempotency-Key}}
""",
    "mappings/return.to_acme_settlement.yaml": """
mapping: return.to_acme_settlement
body: {items: [{line: "{{ change.line.key }}", quantity: "{{ change.quantity }}"}]}
""",
}
CONFIGURED = {"resolution_path": '[return-request, "{id}", resolution]', "resolution_done": "Resolved"}
