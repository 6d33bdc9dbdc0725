from itertools import pairwise

import pytest

from focus_assets.catalog.periods import Cadence, Period
from focus_assets_tests.catalog.building import at


def starts(cadence: str, anchor: str, first: str, last: str) -> list[str]:
    periods = Cadence.parse(cadence).periods(at(anchor), at(first), at(last))
    return [f"{p.start:%Y-%m-%d}" for p in periods]


def test_an_anchor_on_the_31st_returns_to_the_31st_after_a_short_month() -> None:
    assert starts("P1M", "2026-01-31", "2026-01-31", "2026-06-01") == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
    ]


def test_an_anchor_on_the_31st_uses_the_29th_of_a_leap_february() -> None:
    assert "2028-02-29" in starts("P1M", "2027-12-31", "2028-01-01", "2028-04-01")


def test_a_yearly_anchor_on_a_leap_day_falls_on_the_28th_and_returns_to_the_29th() -> None:
    assert starts("P1Y", "2024-02-29", "2024-02-29", "2028-03-01") == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_weeks_and_quarters_are_counted_from_the_anchor() -> None:
    assert starts("P1W", "2026-01-07", "2026-01-20", "2026-02-01") == [
        "2026-01-14",
        "2026-01-21",
        "2026-01-28",
    ]
    assert starts("P3M", "2025-11-30", "2026-01-01", "2026-06-01") == [
        "2025-11-30",
        "2026-02-28",
        "2026-05-30",
    ]


def test_an_instant_before_the_anchor_lies_in_a_period_too() -> None:
    period = Cadence.parse("P1M").period_at(at("2026-08-10T06:00:00"), at("2026-07-20"))
    assert period == Period(at("2026-07-10T06:00:00"), at("2026-08-10T06:00:00"))


def test_a_period_begins_at_its_second_and_the_one_before_ends_there() -> None:
    cadence, anchor = Cadence.parse("P1M"), at("2026-08-15T13:22:07")
    assert cadence.period_at(anchor, at("2026-09-15T13:22:06")).end == at("2026-09-15T13:22:07")
    assert cadence.period_at(anchor, at("2026-09-15T13:22:07")).start == at("2026-09-15T13:22:07")


@pytest.mark.parametrize("cadence", ["P1M", "P3M", "P1Y", "P1W", "P1D", "P10D", "P1M1D"])
@pytest.mark.parametrize("anchor", ["2024-02-29T23:59:59", "2025-12-31", "2026-05-31T13:22:07", "2030-01-30"])
def test_every_instant_lies_in_exactly_the_period_that_is_found_for_it(cadence: str, anchor: str) -> None:
    found = list(Cadence.parse(cadence).periods(at(anchor), at("2026-01-01"), at("2027-01-01")))
    assert found[0].start <= at("2026-01-01") < found[0].end
    assert found[-1].start < at("2027-01-01") <= found[-1].end
    assert all(one.end == other.start for one, other in pairwise(found))
    assert [Cadence.parse(cadence).period_at(at(anchor), p.start) for p in found] == found


@pytest.mark.parametrize("text", ["", "P", "P0D", "1M", "PT1H", "P1M1Y", "month", "P-1M", "P1.5M", "P9999M"])
def test_a_cadence_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cadence|century"):
        Cadence.parse(text)


def test_a_cadence_is_written_as_it_is_read() -> None:
    assert [str(Cadence.parse(text)) for text in ("P1M", "P1Y", "P1W", "P1M1D")] == [
        "P1M",
        "P12M",
        "P7D",
        "P1M1D",
    ]
    assert Cadence.parse(str(Cadence.parse("P1Y2M3W4D"))) == Cadence.parse("P1Y2M3W4D")
