"""Usage that nobody bills moves nothing of what follows it: figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from focus_assets.rating import UNBILLED
from focus_assets.rating.lines import EARLIER_USAGE
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    charge,
    opening,
    rated,
    slices,
    unit,
    usage,
    volume,
)
from focus_assets_tests.rating.test_volume_tiers import TIERS, told

SOLD = charge(TIERS)
CHARGE = SOLD.charge_id


def unbilled(quantity: str, hours: int = 2) -> pl.LazyFrame:
    rows = [(CHARGE, START, START + hours * HOUR, Decimal(quantity))]
    return pl.LazyFrame(rows, schema=UNBILLED, orient="row")


def test_slices_after_the_time_go_on_without_it_and_those_within_it_with_it() -> None:
    """At most 20 at 1.00: 12 and 6 are within the time, of which 6 are not billed. Then 12 are, and 8 are left of 9."""
    sold = charge({**unit("1"), "maximum_amount": "20"})
    pieces = slices(sold, [START, START + HOUR, START + 2 * HOUR, END])
    used = zip(pieces, ("12", "6", "9"), strict=True)
    windows = pl.concat(usage(piece, [(piece.period.start, "a", "{}", n)]) for piece, n in used)
    lines = rated(pieces, windows, unbilled=unbilled("6"))
    assert lines.sort("slice_from")["billed_cost"].to_list() == [Decimal(12), Decimal(6), Decimal(8)]


LAST = ("b", "1")
EARLIER = ((0, "a", "10"), (1, "b", "6"), (1, "c", "3"))


@pytest.mark.parametrize(
    ("late", "used_last"),
    [
        # 19 less 4: all of c and 1 of b were used last.
        ("4", {"a": 10, "b": 5}),
        # 13 and 2 that were billed and are gone since: c is taken for their buyer.
        ("-2", {"a": 10, "b": 0, "c": 5}),
    ],
)
def test_volume_tiers_take_back_what_was_billed_and_charge_it_anew(
    late: str, used_last: dict[str, int]
) -> None:
    """15 were billed at 10. One more by b passes the bound, and all 16 are 5 each."""
    quantities = EARLIER if late == "4" else ((0, "a", "10"), (1, "c", "3"))
    known = [(CHARGE, START + hour * HOUR, subject, "{}", Decimal(n)) for hour, subject, n in quantities]
    [*_, last] = slices(SOLD, [START + 2 * HOUR, END])
    lines = rated(
        [last],
        usage(last, [(last.period.start, *LAST[:1], "{}", LAST[1])]),
        opening({CHARGE: str(sum(int(n) for _, _, n in quantities))}),
        pl.LazyFrame(known, schema=EARLIER_USAGE, orient="row"),
        unbilled=unbilled(late),
    )
    taken_back = [("usage", 1, subject, f"-{n}", f"-{n * 10}") for subject, n in used_last.items() if n]
    anew = {**used_last, "b": used_last["b"] + 1}
    charged = [("usage", 2, subject, str(n), str(n * 5)) for subject, n in anew.items()]
    assert told(lines) == [*taken_back, *charged]
    assert lines["billed_cost"].sum() == 16 * 5 - 15 * 10


def test_what_no_buyer_is_known_of_is_taken_off_without_one() -> None:
    """Of 19 before nobody says whose they were; 4 are not billed, so that 15 at 10 become 16 at 5."""
    [*_, last] = slices(SOLD, [START + 2 * HOUR, END])
    lines = rated(
        [last],
        usage(last, [(last.period.start, "b", "{}", "1")]),
        opening({CHARGE: "19"}),
        unbilled=unbilled("4"),
    )
    assert told(lines) == [
        ("usage", 1, None, "-15", "-150"),
        ("usage", 2, None, "15", "75"),
        ("usage", 2, "b", "1", "5"),
    ]


def test_a_bound_that_only_unbilled_usage_would_pass_is_not_passed() -> None:
    sold = charge(volume(("20", "10", None), (None, "5", None)))
    [*_, last] = slices(sold, [START + 2 * HOUR, END])
    of = usage(last, [(last.period.start, "b", "{}", "1")])
    lines = rated([last], of, opening({CHARGE: "20"}), unbilled=unbilled("1"))
    assert told(lines) == [("usage", 1, "b", "1", "10")]
