"""Reading OpenMeter's invoices: all pages, whatever is new there, and errors that say where something is missing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from focus_assets.billing.purchase_lines import asks_for_credit, purchase_lines
from focus_assets.catalog.invoices import Invoice
from focus_assets.openmeter import asked_once, invoices_now
from focus_assets.openmeter.errors import MalformedResponse, UnsupportedInvoice
from focus_assets.settings.file import FocusFile
from focus_assets_tests.billing.invoiced_company import WEEK, configuration, plain, requests, split, taxed
from focus_assets_tests.openmeter.company import validated
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.documents import Document, ulid
from focus_assets_tests.openmeter_server.invoices import detailed, invoice, line, totals
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to

DAY = dt.date(2026, 8, 1)


class NoMetering:
    """Invoices ask for no usage."""

    def rows(self, *asked: Any) -> list[Any]:
        raise AssertionError(asked)


def read(documents: list[Document], *, judged: bool = True, **company: Any) -> dict[str, Invoice]:
    """Invoices by number, of the company whose subscriptions they are for."""
    known = FocusFile.model_validate(configuration()).catalog
    of = Company(known, NoMetering(), invoices=documents, **company)
    app = validated(of) if judged else application(of)
    found = asked_once(SourceSettings(), lambda server: invoices_now(server, DAY), connected_to(app))
    return {each.number: each for each in found}


def test_a_line_says_what_it_is_for_and_what_it_comes_to() -> None:
    bob = read([taxed()])["BOB-0001"]
    found = bob.lines[0]
    assert (bob.customer, bob.supplier, bob.total, bob.is_issued) == (
        "bob",
        "Test Vendor Inc.",
        Decimal("2.57"),
        True,
    )
    assert (found.subscription, found.item) == (ulid("subscription", "bob/metered"), "requests")
    assert (found.start.day, found.end.day, found.metered) == (1, 8, 200)
    assert (found.net, found.tax, found.credits) == (Decimal("2.14"), Decimal("0.43"), 0)
    assert [(each.quantity, each.unit_price) for each in found.details] == [(200, Decimal("0.0107"))]


def test_a_line_of_a_part_of_a_period_says_what_was_metered_before() -> None:
    lines = {each.name: each for each in read(split())["EVE-0002"].lines}
    assert (lines["Tokens"].metered_before, lines["Tokens"].metered) == (80, 50)
    assert lines["Tokens"].start == dt.datetime(2026, 8, 4, 13, 45, tzinfo=dt.UTC)


def test_a_purchase_of_credit_is_a_fee_of_an_instant_and_its_grant_s() -> None:
    """As ``billing/creditgrant/service`` makes it: no subscription, an empty period, managed by hand."""
    at = "2026-08-03T10:00:00Z"
    price = {"type": "flat", "amount": "100", "paymentTerm": "in_advance"}
    bought = line(
        "Pack (100 USD credits)",
        (at, at),
        [detailed("Pack", "100", "1", totals("100"))],
        price=price,
        by_hand=True,
    )
    found = read([invoice("BUY-0001", "bob", [bought], made=at)])["BUY-0001"]
    [own] = found.lines
    assert (own.start, own.is_fee, own.subscription) == (own.end, True, None)
    assert found.booked_on(own) == dt.date(2026, 8, 3)
    grant = {
        "key": "pack",
        "customer": "bob",
        "funding_method": "invoice",
        "amount": "100",
        "effective_at": at,
    }
    known = FocusFile.model_validate(configuration() | {"credits": [grant]}).catalog
    known = known.model_copy(update={"invoices": (found,)})
    assert purchase_lines(known, "bob") == {"pack": (found, own)}
    assert asks_for_credit(known, found, own)


def test_every_page_is_read_and_what_is_gathered_is_not_asked_for() -> None:
    many = [invoice(f"N-{n:04}", "bob", [requests("bob", "1", "0.01")]) for n in range(230)]
    found = read([*many, invoice("GATHERING", "bob", [], status="gathering")])
    assert len(found) == 230


def test_invoices_from_long_before_are_not_asked_for() -> None:
    assert set(read([taxed(), invoice("OLD", "bob", [], made="2024-01-01T00:00:00Z")])) == {"BOB-0001"}


def test_statuses_and_fields_that_are_not_known_are_left_alone() -> None:
    new = taxed() | {"status": "issued", "novelty": {"a": 1}}
    new["lines"][0] |= {"managedBy": "robot", "status": "folded"}
    found = read([new], judged=False)["BOB-0001"]
    assert not found.lines[0].by_hand


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("number",), "number"),
        (("totals", "total"), "totals.total"),
        (("lines", 0, "period"), "lines[0].period"),
        (("lines", 0, "children", 0, "totals"), "lines[0].children[0].totals"),
    ],
)
def test_a_field_that_is_missing_is_named_with_the_request_and_the_invoice(
    path: tuple[str | int, ...], place: str
) -> None:
    document = taxed()
    within: Any = document
    for step in path[:-1]:
        within = within[step]
    del within[path[-1]]
    with pytest.raises(MalformedResponse) as refused:
        read([document], judged=False)
    assert "GET /api/v1/billing/invoices" in str(refused.value)
    assert document["id"] in str(refused.value)
    assert place in str(refused.value)


def test_a_credit_note_is_refused_and_named() -> None:
    with pytest.raises(UnsupportedInvoice, match=r"BOB-0001.*credit_note"):
        read([taxed() | {"type": "credit_note"}])


def test_a_server_without_v1_has_no_invoices_to_read() -> None:
    with pytest.raises(UnsupportedInvoice, match="invoices: own"):
        read([], has_v1=False)


def test_a_line_of_an_item_that_is_gone_belongs_to_none() -> None:
    gone = line("Old", WEEK, subscription="bob/metered", item="gone", of=totals("1"))
    found = read([invoice("BOB-0001", "bob", [gone])])["BOB-0001"].lines[0]
    assert (found.subscription, found.item) == (ulid("subscription", "bob/metered"), None)


def test_an_invoice_concerns_the_days_of_its_lines_and_of_their_billing_periods() -> None:
    found = read(plain())
    fee, usage = found["ANN-0001"], found["ANN-0002"]
    days = [dt.date(2026, 7, 31) + dt.timedelta(days=n) for n in range(17)]
    assert [day.day for day in days if fee.concerns(day)] == [1, 2, 3, 4, 5, 6, 7]
    assert [day.day for day in days if usage.concerns(day)] == list(range(1, 15))
