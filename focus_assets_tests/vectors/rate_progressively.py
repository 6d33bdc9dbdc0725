"""``rate_progressively``: runs of a charge that book the difference to what earlier runs booked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
from pydantic import ValidationError

from focus_assets.catalog.periods import Period
from focus_assets.catalog.rate_card_terms import Discounts, UnitConfig
from focus_assets.decimals import minor_unit
from focus_assets.errors import FocusAssetsError
from focus_assets.rating.detailed_lines import (
    DETAILED_LINES,
    Line,
    book_difference,
    detailed_lines,
    line_tables,
)
from focus_assets.rating.detailed_lines.booking import BOOKED, RUNS
from focus_assets.rating.detailed_lines.tables import TOTALS
from focus_assets_tests.vectors import Difference
from focus_assets_tests.vectors.detailed import came_line, expected_line, same, text
from focus_assets_tests.vectors.rate import price_of

Case = Mapping[str, Any]
Row = dict[str, Any]

_CHARGE = "charge"


def run(case: Case) -> Difference | None:
    """Book every phase after those before it; compare lines, sums and what the run rates with."""
    booked: list[Row] = []
    for number, phase in enumerate(case["phases"], 1):
        try:
            line = _line(case, phase)
            rated = _rated(phase, line)
            earlier = [_given(given, place) for place, given in enumerate(phase.get("already_billed") or [])]
            rows = _booked(rated, earlier or booked, line, _period(phase["period"]))
        except (FocusAssetsError, ValidationError) as refusal:
            if phase.get("expect_error"):
                continue
            return Difference(f"lines of phase {number}", f"refused: {refusal}")
        difference = _compared(phase, line, rows)
        if difference is not None:
            return Difference(f"in phase {number}: {difference.expected}", difference.came)
        booked += [
            {
                **row,
                "detailed_line_id": f"phase-{number}-line-{row['index'] + 1}",
                "booked_to": _period(phase["period"]).end,
                "voided": bool(phase.get("voided")),
            }
            for row in rows
        ]
    return None


def _line(case: Case, phase: Case) -> Line:
    """A phase's run; a charge without a period of its own ends with the phase that is said to be final."""
    period = _period(phase["period"])
    charge = Period(
        _period(case["phases"][0]["period"]).start,
        period.end if phase.get("is_final") else period.end + dt.timedelta(days=1),
    )
    return Line.to_date(
        _CHARGE,
        price_of(case),
        minor_unit(case["currency"], case.get("currency_precision")),
        run=period,
        charge=_period(case["charge_period"]) if case.get("charge_period") else charge,
        quantity=Decimal(phase["metered_quantity_cumulative"]),
        discounts=Discounts.model_validate(case.get("discounts") or {}),
        unit_config=UnitConfig.model_validate(case["unit_config"]) if case.get("unit_config") else None,
    )


def _rated(phase: Case, line: Line) -> pl.LazyFrame:
    """The run's own lines; a case about booking alone says what they are."""
    if "rated_lines" in phase:
        rows = [_given(given, place) for place, given in enumerate(phase["rated_lines"])]
        return pl.LazyFrame(rows, schema=BOOKED).select(DETAILED_LINES.names())
    tables = line_tables([line])
    return detailed_lines(tables.lines, tables.tiers, tables.credits)


def _booked(rated: pl.LazyFrame, earlier: Sequence[Row], line: Line, period: Period) -> list[Row]:
    rows = [{name: row.get(name) for name in BOOKED.names()} for row in earlier]
    runs = pl.LazyFrame([(_CHARGE, period.start, period.end)], schema=RUNS, orient="row")
    return book_difference(rated, pl.LazyFrame(rows, schema=BOOKED), runs).collect().to_dicts()


def _given(line: Case, place: int) -> Row:
    """A line as a case states it, as a row of BOOKED."""
    totals = {name: Decimal(line["totals"][name]) for name in TOTALS}
    return {
        "line_id": _CHARGE,
        "index": line.get("index", place),
        "ref": line["ref"],
        "pricer_ref": line.get("pricer_ref") or line["ref"],
        "tier": None,
        "category": line.get("category") or "regular",
        "payment_term": line.get("payment_term") or "in_arrears",
        "period_from": None,
        "period_to": None,
        "quantity": Decimal(line["quantity"]),
        "per_unit_amount": Decimal(line["per_unit_amount"]),
        "amount_discounts": [
            {"reason": d["reason"], "ref": d["ref"], "amount": Decimal(d["amount"])}
            for d in line.get("amount_discounts") or []
        ],
        "credits_applied": [],
        "detailed_line_id": line.get("id"),
        "booked_to": None,
        "voided": bool(line.get("voided")),
        **totals,
    }


def _compared(phase: Case, line: Line, rows: Sequence[Row]) -> Difference | None:
    came = [came_line(row) for row in rows]
    if phase.get("expect_error"):
        return Difference(f"error {phase['expect_error']}", text(came))
    if "expect" in phase:
        expected = [expected_line(found) for found in phase["expect"]]
        if not same(expected, came):
            return Difference(text(expected), text(came))
    refs = sorted(found["ref"] for found in came)
    if sorted(phase.get("expect_refs_any_order") or refs) != refs:
        return Difference(str(sorted(phase["expect_refs_any_order"])), str(refs))
    sums = {name: sum((found["totals"][name] for found in came), Decimal(0)) for name in TOTALS}
    wanted = {name: Decimal(value) for name, value in (phase.get("expect_totals") or sums).items()}
    if wanted != {name: sums[name] for name in wanted}:
        return Difference(str(wanted), str(sums))
    options = {"ignore_minimum_commitment": line.ignores_minimum, "disable_credits": line.ignores_credits}
    asked = phase.get("expect_options") or options
    return None if asked == options else Difference(str(asked), str(options))


def _period(given: Case) -> Period:
    start, end = (dt.datetime.fromisoformat(given[key]).astimezone(dt.UTC) for key in ("from", "to"))
    return Period(start, end)
