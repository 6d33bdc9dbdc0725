"""What is due where, as a table."""

import datetime as dt

import polars as pl
import pytest

from focus_assets.delivery import BillingMonth, due
from focus_assets.delivery.ledger import SCHEMA, terms_of
from focus_assets.settings import Destination

DAY = dt.date(2026, 8, 1)
OLD = {"2026-08": BillingMonth("2026-08", {DAY: "a"})}
NEW = {"2026-08": BillingMonth("2026-08", {DAY: "b"})}
EMPTY_DAY_ADDED = {"2026-08": BillingMonth("2026-08", {DAY: "a", dt.date(2026, 8, 2): "e"})}
TWO = OLD | {"2026-09": BillingMonth("2026-09", {dt.date(2026, 9, 1): "c"})}
A = Destination(name="a", url="s3://bucket/a")
B = Destination(name="b", url="s3://bucket/b")
MOVED = Destination(name="a", url="s3://bucket/elsewhere")
NARROWED = Destination(name="a", url="s3://bucket/a", customers=("acme",))
UPGRADED = Destination(name="a", url="s3://bucket/a", focus_version="1.4")


def entry(destination, months, month="2026-08", sequence=1):
    return {
        "destination": destination.name,
        "billing_month": month,
        "sequence": sequence,
        "source_digest": months[month].source_digest,
        "terms_digest": terms_of(destination),
    }


CASES = {
    "nothing was ever delivered": (OLD, [B, A], [], [("2026-08", ["a", "b"])]),
    "a repeated tick": (OLD, [A, B], [entry(A, OLD), entry(B, OLD)], []),
    "a destination was added later": (OLD, [A, B], [entry(A, OLD)], [("2026-08", ["b"])]),
    "a day was restated": (NEW, [A], [entry(A, OLD)], [("2026-08", ["a"])]),
    "the restated day was delivered": (NEW, [A], [entry(A, OLD), entry(A, NEW, sequence=2)], []),
    "a day went back to what it was": (
        OLD,
        [A],
        [entry(A, OLD), entry(A, NEW, sequence=2)],
        [("2026-08", ["a"])],
    ),
    "an empty day came to it": (EMPTY_DAY_ADDED, [A], [entry(A, OLD)], [("2026-08", ["a"])]),
    "one destination was down": (
        NEW,
        [A, B],
        [entry(A, OLD), entry(B, OLD), entry(A, NEW, sequence=2)],
        [("2026-08", ["b"])],
    ),
    "another month came": (TWO, [A], [entry(A, OLD)], [("2026-09", ["a"])]),
    "a destination moved": (OLD, [MOVED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "its scope changed": (OLD, [NARROWED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "its version changed": (OLD, [UPGRADED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "there is no destination": (OLD, [], [], []),
    "entries of a destination that is gone": (OLD, [A], [entry(B, OLD), entry(A, OLD)], []),
}


@pytest.mark.parametrize(("months", "destinations", "entries", "expected"), CASES.values(), ids=CASES)
def test_due_when(months, destinations, entries, expected):
    ledger = pl.DataFrame(entries, schema={name: SCHEMA[name] for name in entries[0]} if entries else SCHEMA)

    assert [tuple(each) for each in due(months, destinations, ledger, months)] == expected


def test_a_month_that_is_not_eligible_waits():
    assert due(TWO, [A], pl.DataFrame(schema=SCHEMA), ["2026-09", "2026-10"]) == [("2026-09", ["a"])]


def test_the_order_of_a_scope_s_customers_does_not_matter():
    one = Destination(name="a", url="s3://bucket/a", customers=("acme", "globex"))
    other = Destination(name="a", url="s3://bucket/a/", customers=("globex", "acme"))

    assert terms_of(one) == terms_of(other)
