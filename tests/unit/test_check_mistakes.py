"""`check` finds each kind of mistake at its line, says what is wrong and what to do, and finds nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.files import check
from tests.unit.site_kit import ENV, FILES, write

CONNECTIONS, ROUTES, HUB = "config/connections.yaml", "config/routes.yaml", "config/hub.yaml"
SHOP, WMS = "connectors/acme_shop/connector.yaml", "connectors/acme_wms/connector.yaml"
TO_RETURN, TO_WMS = "mappings/acme_shop.to_return.yaml", "mappings/return.to_acme_wms.yaml"
ORDER = "mappings/references/order.yaml"


@dataclass(frozen=True)
class Mistake:
    """In `file`, `old` became `new`. The fault stands in the line that holds `at`, else in the one of `new`."""

    name: str
    file: str
    old: str
    new: str
    told: str
    todo: str = ""
    at: str = ""
    others: int = 0  # further faults that the same mistake rightly makes


M = Mistake
MISTAKES = [
    # form of the YAML
    M("key twice", HUB, "  port: 8080\n", "  port: 8080\n  port: 8081\n", "the key 'port' is given twice", "keep one", at="port: 8081"),
    M("anchor", HUB, "name: test", "name: &x test", "the anchor &x is not allowed"),
    M("alias", HUB, "name: test", "name: *x", "the alias *x is not allowed"),
    M("tag", HUB, "name: test", "name: !!str test", "the tag"),
    M("broken YAML", ROUTES, "change: return.labelled", "change: return: labelled", "no YAML"),
    M("empty file", HUB, FILES[HUB], "# nothing\n", "the file is empty"),
    # keys and values
    M("mistyped key", CONNECTIONS, "connector: acme_wms", "conector: acme_wms", "unknown key 'conector'", "did you mean 'connector'?", others=1),
    M("mistyped key in hub", HUB, "lease: 60s", "leese: 60s", "unknown key 'leese' in hub", "did you mean 'lease'?"),
    M("missing key", ROUTES, "    change: return.labelled\n", "", "'change' is missing in routes[0]", "add `change:`", at="route: announce"),
    M("wrong type", HUB, "name: test", "name: [test]", "hub.name is a list, must be text"),
    M("number for text", ROUTES, "route: announce", "route: 1001", "is the number 1001, must be text", 'put it in quotes: "1001"'),
    M("not one of", WMS, "outcome: delivered", "outcome: deliverd", "is the text 'deliverd'", "did you mean 'delivered'?"),
    M("bad duration", HUB, "lease: 60s", "lease: soon", "hub.lease: 'soon' is no duration", "for example 30s"),
    M("bad rate", WMS, "rate: 10/s", "rate: 10/fortnight", "is no rate", "for example 10/s"),
    M("bad size", HUB, "body_limit: 2MiB", "body_limit: big", "is no size", "for example 2MiB"),
    M("bad status", WMS, "status: 409", "status: 4x9", "is no status"),
    M("bad method", WMS, "method: POST", "method: SEND", "is the text 'SEND'"),
    M("bad path", WMS, "    method: POST\n    path: /returns", "    method: POST\n    path: returns", "is the text 'returns'", "begins with /", at="path: returns"),
    M("bad name", ROUTES, "route: announce", "route: Announce It", "'Announce It'", "a name of small letters"),
    M("bad connection name", CONNECTIONS, "  wms:\n", "  WMS!:\n", "'WMS!' is no name", others=2),
    M("no calls", ROUTES, "    calls:\n      - {to: wms.announce, mapping: return.to_acme_wms}", "    calls: []", "routes[0].calls is empty"),
    M("number out of range", HUB, "factor: 2", "factor: 20", "is 20", "from 1 to 10"),
    # environment and settings
    M("variable not set", CONNECTIONS, "${SHOP_TOKEN}", "${SHOP_TOKN}", "the environment variable SHOP_TOKN is not set", ".env"),
    M("no variable", CONNECTIONS, "${SHOP_TOKEN}", "${SHOP TOKEN}", "is no variable", "${NAME}"),
    M("secret in the file", CONNECTIONS, "${SHOP_TOKEN}", "tok-1", "'token' is a secret and stands in the file"),
    M("setting missing", CONNECTIONS, "      token: ${WMS_TOKEN}\n", "", "connection 'wms' lacks the setting 'token'", at="  wms:"),
    M("setting unknown", CONNECTIONS, "      token: ${WMS_TOKEN}", "      token: ${WMS_TOKEN}\n      tokn: x", "has no setting 'tokn'", "did you mean 'token'?", at="tokn: x"),
    M("no address", CONNECTIONS, "base_url: ${WMS_URL}", "base_url: wms.example", "is no address"),
    M("unknown connector", CONNECTIONS, "connector: acme_wms", "connector: acme_vms", "unknown connector 'acme_vms'", "did you mean 'acme_wms'?"),
    M("timeout beyond the lease", HUB, "lease: 60s", "lease: 10s", "may wait 20s for an answer", at="  shop:", others=1),
    # connectors
    M("name and folder differ", WMS, "connector: acme_wms", "connector: acme_vms", "is called 'acme_vms' in the folder 'acme_wms'"),
    M("unknown auth scheme", WMS, "scheme: bearer", "scheme: bearr", "unknown auth scheme 'bearr'", "did you mean 'bearer'?"),
    M("auth lacks a key", WMS, 'auth: {scheme: bearer, token: "{{ settings.token }}"}', "auth: {scheme: bearer}", "auth scheme bearer needs `token`", at="  wms:"),
    M("unknown signature scheme", SHOP, "scheme: hmac_sha256", "scheme: hmac_sha265", "unknown signature scheme 'hmac_sha265'", "did you mean 'hmac_sha256'?"),
    M("signature lacks a key", SHOP, ', secrets: "{{ settings.secrets }}"', "", "secrets", at="  shop:"),
    M("schema file missing", WMS, "schemas/announce.json", "schemas/anounce.json", "there is no file 'schemas/anounce.json'", "did you mean 'schemas/announce.json'?"),
    M("schema outside the folder", WMS, "schemas/announce.json", "../acme_shop/connector.yaml", "there is no file '../acme_shop/connector.yaml'"),
    M("schema is no JSON", "connectors/acme_wms/schemas/announce.json", '"required"', "required", "is no JSON Schema", at="body: schemas"),
    M("schema is no schema", "connectors/acme_wms/schemas/announce.json", '"type": "array"', '"type": "arry"', "is no JSON Schema", at="body: schemas"),
    M("probe of nothing", WMS, "operation: find,", "operation: fnd,", "unknown operation 'fnd'", "did you mean 'find'?"),
    M("fetch of nothing", SHOP, "operation: get_return,", "operation: get_retrn,", "unknown operation 'get_retrn'", "did you mean 'get_return'?"),
    M("probe lacks an argument", WMS, 'with: {rma: "{{ request.body.rma }}"}, ', "", "the probe does not give find its argument 'rma'", at="probe:"),
    M("argument unknown", WMS, "with: {rma:", 'with: {stat: "x", rma:', "find has no argument 'stat'", "did you mean 'state'?"),
    M("read and ignored", SHOP, "ignore: [ping]", "ignore: [ping, label.printed]", "'label.printed' is read and ignored"),
    M("secret in a path", WMS, "query: {rma:", 'query: {key: "{{ settings.token }}", rma:', "settings.token is a secret", at="key: "),
    M("unknown setting in a template", SHOP, "{{ settings.secrets }}", "{{ settings.secret }}", "settings has no 'secret'", "did you mean 'secrets'?"),
    M("inbound mapping unknown", SHOP, "mapping: acme_shop.to_return", "mapping: acme_shop.to_retrn", "unknown mapping 'acme_shop.to_retrn'", "did you mean 'acme_shop.to_return'?"),
    M("inbound mapping makes no document", SHOP, "mapping: acme_shop.to_return", "mapping: return.to_acme_wms", "makes no document"),
    M("operations without base_url", SHOP, '  base_url: {default: "https://shop.example/api"}\n', "", "needs the setting 'base_url'", at="  get_return:"),
    # routes
    M("unknown change", ROUTES, "return.labelled", "return.labeled", "unknown change 'return.labeled': the route can never match", "did you mean 'return.labelled'?"),
    M("unknown source", ROUTES, "source: shop", "source: shopp", "unknown connection 'shopp': the route can never match", "did you mean 'shop'?"),
    M("source without inbound", ROUTES, "source: shop", "source: wms", "'wms' never tells of a return: the route can never match"),
    M("when is false", ROUTES, "when: \"{{ return.market == 'EU' }}\"", "when: false", "the route can never match"),
    M("unknown target", ROUTES, "to: wms.announce", "to: wsm.announce", "unknown connection 'wsm'", "did you mean 'wms'?"),
    M("unknown operation", ROUTES, "to: wms.announce", "to: wms.anounce", "has no operation 'anounce'", "did you mean 'announce'?"),
    M("unknown mapping", ROUTES, "mapping: return.to_acme_wms", "mapping: return.to_acme", "unknown mapping 'return.to_acme'", "did you mean"),
    M("mapping of the wrong kind", ROUTES, "mapping: return.to_acme_wms", "mapping: acme_shop.to_return", "makes a document, not a request", others=1),
    M("route twice", ROUTES, "      - {to: wms.announce, mapping: return.to_acme_wms}", "      - {to: wms.announce, mapping: return.to_acme_wms}\n  - route: announce\n    change: parcel.labelled\n    calls: [{to: wms.announce, mapping: return.to_acme_wms}]", "the route 'announce' is given twice", at="  - route: announce\n    change: parcel"),
    M("same route twice", ROUTES, "routes:\n", "routes:\n  - route: again\n    change: return.labelled\n    source: shop\n    when: \"{{ return.market == 'EU' }}\"\n    calls:\n      - {to: wms.announce, mapping: return.to_acme_wms}\n", "does the same as 'again'", at="  - route: announce"),
    M("field of the document", ROUTES, "return.market", "return.markt", "return has no 'markt'", "did you mean 'market'?"),
    # mappings
    M("mapping and file differ", TO_WMS, "mapping: return.to_acme_wms", "mapping: return.to_acme", "mapping 'return.to_acme' stands in return.to_acme_wms.yaml", others=1),
    M("mapping makes nothing", TO_RETURN, FILES[TO_RETURN].partition("\n")[2], "", "the mapping makes nothing", at="mapping:", others=1),
    M("unknown name", TO_WMS, "{{ line.sku }}", "{{ lin.sku }}", "unknown name 'lin'", "did you mean 'line'?"),
    M("unknown filter", TO_WMS, "| default(return.id)", "| defalt(return.id)", "unknown filter 'defalt'", "did you mean 'default'?"),
    M("unknown table", TO_WMS, "table('acme_reasons')", "table('acme_reason')", "unknown table 'acme_reason'", "did you mean 'acme_reasons'?"),
    M("unknown word", TO_WMS, "$each:", "$eech:", "unknown word '$eech'", "did you mean '$each'?", others=5),
    M("statement", TO_WMS, "{{ line.sku }}", "{% if line %}x{% endif %}", "is not part of the language"),
    M("no expression", TO_WMS, "{{ line.sku }}", "{{ line.sku + }}", "is no expression"),
    M("not closed", TO_WMS, "{{ line.sku }}", "{{ line.sku", "{{ is not closed"),
    M("call", TO_WMS, "{{ line.sku }}", "{{ line.sku.strip() }}", "nothing can be called", "use the filter `trim`"),
    M("field of a line", TO_WMS, "{{ line.sku }}", "{{ line.skuu }}", "line has no 'skuu'", "did you mean 'sku'?"),
    M("field deep in a line", TO_WMS, "line.quantity.announced", "line.quantity.anounced", "line.quantity has no 'anounced'", "did you mean 'announced'?"),
    M("unknown reference in a template", TO_WMS, "refs.sales_order", "refs.salesorder", "refs has no 'salesorder'", "did you mean 'sales_order'?"),
    M("reference that no file makes", TO_WMS, "to: erp", "to: erpp", "translates order from shop to erpp", "did you mean 'order from shop to erp'?"),
    M("split without key", TO_WMS, "references:", 'split: {each: "{{ return.orders }}", as: part}\nreferences:', "'key' is missing in split"),
    M("split takes a name", TO_WMS, "references:", 'split: {each: "{{ return.orders }}", as: change, key: "{{ change.number }}"}\nreferences:', "the name 'change' is taken", others=1),
    M("field the target does not know", TO_WMS, "  order: ", "  ordr: ", "the body of announce has no field 'ordr'", "did you mean 'order'?"),
    M("field the target needs", TO_WMS, '      sku: "{{ line.sku }}"\n', "", "needs the field 'sku'", at="      quantity:"),
    M("field the document does not know", TO_RETURN, "market:", "markt:", "the return document has no field 'markt'", "did you mean 'market'?"),
    M("document without id", TO_RETURN, '  id: "{{ detail.id }}"\n', "", "the return document needs the field 'id'", at="  source:"),
    M("id without quotes", TO_WMS, 'rma: "{{ return.number | default(return.id) }}"', "rma: 'x'\n  orderNumber: 1001", "'orderNumber' is an id", 'write "1001"', at="orderNumber", others=1),
    M("expected answer without quotes", TO_WMS, '"0000012E4"', "1001", "is the number 1001, must be text", "quotes"),
    M("test file missing", TO_WMS, "fixtures/one.json", "fixtures/two.json", "there is no file 'fixtures/two.json'"),
    M("connector test file missing", "connectors/acme_wms/tests.yaml", "fixtures/given.json", "fixtures/give.json", "there is no file 'fixtures/give.json'"),
    M("connector test key", "connectors/acme_wms/tests.yaml", "expect: {path", "expect: {pth", "unknown key 'pth'", "did you mean 'path'?"),
    # references and tables
    M("step of nothing", ORDER, "  - stored: true", "  - {}", "has 0 keys", "one of table, stored, lookup, derive"),
    M("two steps in one", ORDER, "  - stored: true", "  - {stored: true, table: tables/old_orders.csv}", "has 2 keys"),
    M("stored is false", ORDER, "stored: true", "stored: false", "steps[1].stored is false", "write true"),
    M("reference table unknown", ORDER, "tables/old_orders.csv", "tables/old_order.csv", "unknown table 'tables/old_order.csv'", "did you mean 'old_orders'?"),
    M("look-up of nothing", ORDER, "operation: wms.find", "operation: wms.fnd", "has no operation 'fnd'", "did you mean 'find'?"),
    M("look-up at nobody", ORDER, "operation: wms.find", "operation: wsm.find", "unknown connection 'wsm'", "did you mean 'wms'?"),
    M("look-up lacks an argument", ORDER, 'with: {rma: "{{ id }}"}, ', "", "does not give find its argument 'rma'"),
    M("derive is not last", ORDER, "  - stored: true\n", "  - derive: \"{{ id }}\"\n  - stored: true\n", "the steps behind it are never tried", at="  - derive"),
    M("missing is mistyped", ORDER, "missing: park", "missing: parc", "is the text 'parc'", "did you mean 'park'?"),
    M("table without header", "mappings/tables/old_orders.csv", "from,to\n", "", "the first line must be from,to", at="#1"),
    M("table with three cells", "mappings/tables/old_orders.csv", "#1,0001", "#1,0001,x", "3 cells instead of 2"),
    M("table with a word twice", "mappings/tables/old_orders.csv", "#1,0001\n", "#1,0001\n#1,0002\n", "'#1' is given twice", at="#1,0002"),
    M("table with a number", "mappings/tables/acme_reasons.yaml", "too_small: SIZE", "too_small: 1001", "1001 without quotes is no text", "write '1001'"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_found_at_its_line_with_what_to_do(mistake: Mistake, tmp_path: Path) -> None:
    assert mistake.old in FILES[mistake.file], "the mistake is made nowhere"
    files = {**FILES, mistake.file: FILES[mistake.file].replace(mistake.old, mistake.new, 1)}
    problems = check(write(tmp_path, files), ENV)
    shown = "\n".join(map(str, problems))
    found = [problem for problem in problems if mistake.told in problem.what]
    assert len(found) == 1, shown or "nothing was found"
    assert mistake.todo in found[0].todo and len(problems) == 1 + mistake.others, shown
    text = files[found[0].file]
    mark = mistake.at or mistake.new.lstrip("\n")
    assert mark in text, f"told of {found[0].file}: {shown}"
    assert found[0].line == text[: text.index(mark)].count("\n") + 1 + _lead(mark), shown
    assert found[0].column >= 1


def _lead(mark: str) -> int:
    return len(mark) - len(mark.lstrip("\n"))


def test_there_are_many_kinds_of_them() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) > 80


def test_all_mistakes_of_a_site_are_told_at_once(tmp_path: Path) -> None:
    files = dict(FILES)
    kept = [m for m in MISTAKES if m.name in ("bad duration", "unknown connector", "unknown change", "unknown filter", "unknown table")]
    for mistake in kept:
        files[mistake.file] = files[mistake.file].replace(mistake.old, mistake.new, 1)
    told = "\n".join(map(str, check(write(tmp_path, files), ENV)))
    assert all(mistake.told in told for mistake in kept), told
