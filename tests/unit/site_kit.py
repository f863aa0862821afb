"""A small site of two invented vendors, without a fault, to make faults in."""

from __future__ import annotations

from pathlib import Path

ENV = {"SHOP_SECRET": "s3cret", "SHOP_TOKEN": "tok-1", "WMS_TOKEN": "tok-2", "WMS_URL": "https://wms.example/api"}

FILES = {
    "config/hub.yaml": """\
hub:
  name: test
  port: 8080
  lease: 60s
  body_limit: 2MiB
  retry: {first: 5s, factor: 2, longest: 1h, give_up_after: 3d}
""",
    "config/connections.yaml": """\
connections:
  shop:
    connector: acme_shop
    settings:
      secrets: ["${SHOP_SECRET}", "${SHOP_OLD_SECRET:-}"]
      token: ${SHOP_TOKEN}
    poll: {changed_returns: 5m}
  wms:
    connector: acme_wms
    system: warehouse
    limits: {concurrency: 4}
    settings:
      base_url: ${WMS_URL}
      token: ${WMS_TOKEN}
""",
    "config/routes.yaml": """\
routes:
  - route: announce
    change: return.labelled
    source: shop
    when: "{{ return.market == 'EU' }}"
    calls:
      - {to: wms.announce, mapping: return.to_acme_wms}
""",
    "connectors/acme_shop/connector.yaml": """\
connector: acme_shop
settings:
  base_url: {default: "https://shop.example/api"}
  secrets: {required: true, secret: true}
  token: {required: true, secret: true}
auth: {scheme: bearer, token: "{{ settings.token }}"}
operations:
  get_return:
    method: GET
    path: /returns/{{ args.id }}
  list_returns:
    method: GET
    path: /returns
    query: {after: "{{ args.after }}", before: "{{ args.before | default(omit) }}"}
poll:
  - poll: changed_returns
    operation: list_returns
    with: {after: "{{ window.from }}", before: "{{ window.to }}"}
    items: "{{ body.items }}"
    every: 10m
    window: {overlap: 5m, whole: "{{ items | length >= body.total }}"}
    where: "{{ item.state != 'draft' }}"
    payload: {topic: label.printed, id: "{{ item.id }}/{{ item.changed }}", return: "{{ item.id }}"}
inbound:
  verify: {scheme: hmac_sha256, header: X-Shop-Signature, encoding: hex, secrets: "{{ settings.secrets }}"}
  ack: {status: 200, within: 3s}
  event_id: "{{ payload.id }}"
  event_type: "{{ payload.topic }}"
  types: {label.printed: return}
  ignore: [ping]
  fetch: {operation: get_return, with: {id: "{{ payload.return }}"}, as: detail}
  mapping: acme_shop.to_return
  capture: [{reference: order, id: "{{ detail.erp | default(none) }}", system: erp, from: "{{ return.number }}"}]
""",
    "connectors/acme_wms/connector.yaml": """\
connector: acme_wms
settings:
  base_url: {required: true}
  token: {required: true, secret: true}
auth: {scheme: bearer, token: "{{ settings.token }}"}
limits: {rate: 10/s, concurrency: 8, timeout: 20s}
operations:
  announce:
    method: POST
    path: /returns
    idempotency: {header: Idempotency-Key}
    body: schemas/announce.json
    responses:
      - {status: 409, outcome: delivered, because: known already}
    capture: [{reference: return, id: "{{ body.number }}"}]
    probe: {operation: find, with: {rma: "{{ request.body.rma }}"}, found: "{{ body.items | length > 0 }}"}
  find:
    method: GET
    path: /returns
    query: {rma: "{{ args.rma }}", state: "{{ args.state | default(omit) }}"}
""",
    "connectors/acme_wms/schemas/announce.json": """\
{
  "type": "object",
  "required": ["rma", "lines"],
  "additionalProperties": false,
  "properties": {
    "rma": {"type": "string"},
    "order": {"type": "string"},
    "lines": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["sku"],
        "additionalProperties": false,
        "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}, "reason": {"type": "string"}}
      }
    }
  }
}
""",
    "connectors/acme_wms/fixtures/given.json": '{"id": "1"}\n',
    "connectors/acme_wms/tests.yaml": """\
cases:
  - name: announces
    operation: announce
    given: {body: fixtures/given.json}
    expect: {path: /returns}
""",
    "mappings/acme_shop.to_return.yaml": """\
mapping: acme_shop.to_return
document:
  id: "{{ detail.id }}"
  source: acme_shop
  market: "{{ detail.market | default(omit) }}"
  orders:
    $each: "{{ detail.orders }}"
    $as: order
    $do: {number: "{{ order }}"}
  lines:
    $each: "{{ detail.items }}"
    $as: item
    $do:
      key: "{{ item.id }}"
      sku: "{{ item.sku }}"
      quantity: {announced: "{{ item.count }}"}
      reasons: [{code: "{{ item.reason }}"}]
""",
    "mappings/return.to_acme_wms.yaml": """\
mapping: return.to_acme_wms
references:
  sales_order: {kind: order, from: shop, to: erp, id: "{{ return.orders[0].number }}"}
body:
  rma: "{{ return.number | default(return.id) }}"
  order: "{{ refs.sales_order }}"
  lines:
    $each: "{{ return.lines }}"
    $as: line
    $do:
      sku: "{{ line.sku }}"
      quantity: "{{ line.quantity.announced }}"
      reason: "{{ line.reasons[0].code | table('acme_reasons') }}"
tests:
  - name: odd numbers
    given: {document: fixtures/one.json, refs: {sales_order: "0000012E4"}}
    expect: {body: {rma: "1"}}
""",
    "mappings/fixtures/one.json": '{"id": "1"}\n',
    "mappings/references/order.yaml": """\
reference: order
from: shop
to: erp
steps:
  - table: tables/old_orders.csv
  - stored: true
  - lookup: {operation: wms.find, with: {rma: "{{ id }}"}, take: "{{ body.items[0].number }}"}
  - derive: "{{ id | strip_prefix('#') | zero_pad(10) }}"
missing: park
""",
    "mappings/tables/old_orders.csv": "from,to\n#1,0001\n",
    "mappings/tables/acme_reasons.yaml": "too_small: SIZE\nbroken: 'DAMAGED'\n",
}

#: The same site with somebody who asks, and where the hub has to log in.
ASKED = {
    **FILES,
    "config/connections.yaml": FILES["config/connections.yaml"]
    + """\
  portal:
    connector: acme_portal
    limits: {timeout: 5s}
    settings: {login_url: "https://login.example", user: shop, password: "${WMS_TOKEN}", secret: "${SHOP_SECRET}"}
""",
    "config/bridges.yaml": """\
bridges:
  - bridge: find_return
    source: portal
    path: find-return
    deadline: 8s
    calls:
      - {to: wms.find, mapping: question.to_acme_wms}
    answer: question.from_acme_wms
    empty: {status: 404, body: {none: "{{ request.rma }}"}}
    trace: ["{{ request.rma }}"]
""",
    "connectors/acme_portal/connector.yaml": """\
connector: acme_portal
settings:
  base_url: {default: "https://portal.example/api"}
  login_url: {required: true}
  user: {required: true}
  password: {required: true, secret: true}
  secret: {required: true, secret: true}
auth:
  scheme: token
  login:
    url: "{{ settings.login_url }}/token"
    json: {user: "{{ settings.user }}", password: "{{ settings.password }}"}
    token: "{{ body.access_token }}"
    refresh_token: "{{ body.refresh_token }}"
    expires_in: "{{ body.expires_in }}"
  refresh:
    url: "{{ settings.login_url }}/token"
    form: {refresh_token: "{{ refresh_token }}"}
    token: "{{ body.access_token }}"
  early: 60s
operations:
  ping: {method: GET, path: /ping}
bridge:
  verify: {scheme: bearer, tokens: "{{ settings.secret }}"}
  errors: {body: {code: "{{ code }}"}}
""",
    "mappings/question.to_acme_wms.yaml": """\
mapping: question.to_acme_wms
args: {rma: "{{ request.rma }}"}
""",
    "mappings/question.from_acme_wms.yaml": """\
mapping: question.from_acme_wms
body: {number: "{{ answers[0].items[0].number }}"}
""",
}


def write(root: Path, files: dict[str, str] | None = None) -> Path:
    """The site's folder, with these files."""
    for name, text in (files or FILES).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
