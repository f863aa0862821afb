"""Fills an empty Tryton database: a company with articles, customers and orders, and users with REST keys.

Runs in Tryton's own environment, never in the hub's:  python tryton_data.py TRYTOND.CONF DATABASE FACTS.JSON
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

KEYS = {"hub": "peer-key-of-the-hub", "clerk": "peer-key-of-the-clerk"}
#: The hub's user may do what its operations need; the clerk is a user without any rights.
GROUPS = {"hub": ("Sales", "Sales Administrator", "Stock", "Accounting"), "clerk": ()}
ARTICLES = {"TEE-RED-M": "24.90", "MUG-01": "9.99", "0012345": "89.95"}
#: The shop's order number, articles with quantities, and whether the order is confirmed. 100003 came in twice by
#: mistake; 100004 is still a draft, which has no number yet; 100005 is long.
ORDERS: tuple[tuple[str, tuple[tuple[str, int], ...], bool], ...] = (
    ("100001", (("TEE-RED-M", 3), ("MUG-01", 1)), True),
    ("100002", (("0012345", 2),), True),
    ("100003", (("MUG-01", 1),), True),
    ("100003", (("MUG-01", 1),), True),
    ("100004", (("TEE-RED-M", 1),), False),
    ("100005", (("MUG-01", 1),) * 20, True),
)


def fill(conf: str, database: str) -> dict[str, Any]:
    """Make everything; what the tests need to know of it."""
    # Tryton chooses its database's kind when it is imported.
    os.environ["TRYTOND_CONFIG"] = conf
    from proteus import Model, config

    session = config.set_trytond(database, user="admin", config_file=conf)
    one = _finder(Model)
    company = _company(Model, session)
    articles = _articles(Model, one, company)
    _users(Model, one, company)
    # Numbers that must not be mistaken for figures, and that look like none of the shop's.
    sequence = one("ir.sequence", name="Sale")
    sequence.prefix, sequence.padding = "0000", 2
    sequence.suffix = "E4"
    sequence.save()
    orders = [_order(Model, articles, *order) for order in ORDERS]
    return {"keys": KEYS, "company": company.id, "today": dt.date.today().isoformat(), "orders": orders}


def _finder(Model: Any) -> Any:
    def one(model: str, **wanted: Any) -> Any:
        (found,) = Model.get(model).find([(name, "=", value) for name, value in wanted.items()], limit=1)
        return found

    return one


def _company(Model: Any, session: Any) -> Any:
    from trytond.modules.account.tests.tools import create_chart, create_fiscalyear
    from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
    from trytond.modules.company.tests.tools import create_company

    party = Model.get("party.party")(name="Example Fashion")
    party.save()
    create_company(party=party, currency="EUR", config=session)
    (company,) = Model.get("company.company").find([])
    session._context = Model.get("res.user").get_preferences(True, {})
    create_chart(company)
    year = dt.date.today().year
    months = (dt.date(year, 1, 1), dt.date(year, 12, 31))
    set_fiscalyear_invoice_sequences(create_fiscalyear(today=months)).click("create_period")
    return company


def _articles(Model: Any, one: Any, company: Any) -> dict[str, Any]:
    from trytond.modules.account.tests.tools import create_tax, get_accounts

    accounts = get_accounts(company)
    tax = create_tax(Decimal("0.19"))
    tax.save()
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.customer_taxes.append(tax)
    category.save()
    unit, articles = one("product.uom", name="Unit"), {}
    for code, price in ARTICLES.items():
        template = Model.get("product.template")(name=f"Article {code}", type="goods", salable=True)
        template.default_uom, template.list_price, template.account_category = unit, Decimal(price), category
        template.products[0].suffix_code = code
        template.save()
        (articles[code],) = template.products
    return articles


def _users(Model: Any, one: Any, company: Any) -> None:
    Company, Application = Model.get("company.company"), Model.get("res.user.application")
    for login, groups in GROUPS.items():
        user = Model.get("res.user")(name=login, login=login)
        user.companies.append(Company(company.id))
        user.company = Company(company.id)
        for group in groups:
            user.groups.append(one("res.group", name=group))
        user.save()
        application = Application(user=user, application="rest")
        application.key = KEYS[login]
        application.save()
        if application.state != "validated":
            application.click("validate_")


def _order(
    Model: Any, articles: dict[str, Any], shop: str, wanted: tuple[tuple[str, int], ...], confirmed: bool
) -> dict[str, Any]:
    party = Model.get("party.party")(name=f"Customer of {shop}")
    (address,) = party.addresses
    address.city = "Berlin"
    party.save()
    sale = Model.get("sale.sale")(party=party, reference=shop, invoice_method="order")
    for code, quantity in wanted:
        # One after the other: what is set fills in what hangs on it, as in the client.
        line = sale.lines.new()
        line.product = articles[code]
        line.quantity = quantity
    sale.save()
    if confirmed:
        sale.click("quote")
        sale.click("confirm")
        sale.reload()
    return {"shop": shop, "id": sale.id, "number": sale.number, "state": sale.state}


if __name__ == "__main__":
    facts = fill(sys.argv[1], sys.argv[2])
    Path(sys.argv[3]).write_text(json.dumps(facts, indent=1), encoding="utf-8")
