"""The files of a site where one connector grades goods and one notes effects, beside fulfillmenttools."""

from __future__ import annotations

OPEN_STATES = "['OPEN', 'IN_PROGRESS', 'WAITING_FOR_INPUT']"

CONNECTIONS = """
connections:
  fft:
    connector: fulfillmenttools
    settings:
      base_url: ${FFT_URL}
      login_url: ${FFT_URL}/v1/accounts:signInWithPassword
      refresh_url: ${FFT_URL}/v1/token
      api_key: ${FFT_KEY}
      email: ${FFT_EMAIL}
      password: ${FFT_PASSWORD}
      webhook_secrets: ["${FFT_SECRET_1}", "${FFT_SECRET_2}"]
    limits: {rate: 100000/s}
  grader: {connector: acme_grader, settings: {base_url: "http://grader.example.com"}}
  book: {connector: acme_book, settings: {base_url: "${BOOK_URL}", token: "${BOOK_TOKEN}"}}
"""
ROUTES = "routes:\n" + "".join(
    f"""
  - route: note_{change.replace(".", "_")}
    change: {change}
    source: fft
    calls: [{{to: book.note, mapping: return.to_acme_book}}]
"""
    for change in ("return.registered", "line.accepted", "line.rejected", "refund.started", "refund.closed")
)
DECISIONS = "routes:\n" + "".join(
    f"""
  - route: tell_{change.replace(".", "_")}
    change: {change}
    source: grader
    calls:
      - {{to: fft.list_jobs, mapping: return.to_fulfillmenttools_order}}
      - {{to: fft.get_job, mapping: return.to_fulfillmenttools_job}}
      - to: fft.patch_line
        mapping: return.to_fulfillmenttools_decision
        when: >-
          {{{{ (answers | last).itemReturns | unnest('returnedLineItems', 'item_return')
              | rejectattr('item_return.status', 'in', ['CANCELED', 'OBSOLETE'])
              | where('tenantArticleId', change.line.sku) | selectattr('status', 'in', {OPEN_STATES}) | length > 0 }}}}
"""
    for change in ("line.accepted", "line.rejected")
)
REFUNDS = """
routes:
  - route: pay_back
    change: line.accepted
    source: fft
    calls:
      - {to: book.note, mapping: return.to_acme_book}
      - {to: fft.get_job, mapping: return.to_fulfillmenttools_own_job}
      - to: fft.patch_line
        mapping: return.to_fulfillmenttools_refund
        # Still accepted, and nobody has refunded it meanwhile.
        when: >-
          {{ (answers | last).itemReturns | unnest('returnedLineItems', 'item_return')
             | where('item_return.id', change.line.key | split('/') | first)
             | where('id', change.line.key | split('/') | last)
             | where('status', 'ACCEPTED') | map(attribute='refund', default=none) | select('none') | length > 0 }}
"""
FILES = {
    "config/connections.yaml": CONNECTIONS,
    "connectors/acme_grader/connector.yaml": """
connector: acme_grader
settings: {base_url: {required: true}}
inbound:
  verify: {scheme: none}
  event_id: "{{ payload.id }}"
  event_type: graded
  types: {graded: return}
  mapping: acme_grader.to_return
""",
    "mappings/acme_grader.to_return.yaml": """
mapping: acme_grader.to_return
document:
  id: "{{ payload.return }}"
  source: grader
  version: "{{ payload.version }}"
  orders: [{number: "{{ payload.order }}"}]
  lines: "{{ payload.lines }}"
""",
    "connectors/acme_book/connector.yaml": """
connector: acme_book
settings: {base_url: {required: true}, token: {required: true, secret: true}}
auth: {scheme: bearer, token: "{{ settings.token }}"}
operations:
  note: {method: POST, path: /notes, idempotency: {header: Idempotency-Key}}
""",
    "mappings/return.to_acme_book.yaml": """
mapping: return.to_acme_book
body: {return: "{{ return.id }}", change: "{{ change.name }}", line: "{{ change.line.key | default(omit) }}"}
""",
}
