"""Detailed lines of a case and of the product in one form, so that they can be compared and printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from focus_assets.rating.detailed_lines.tables import TOTALS

Shown = dict[str, Any]


def expected_line(line: Mapping[str, Any]) -> Shown:
    """A line of ``expect``; what a case does not state is not compared."""
    shown: Shown = {"ref": line["ref"]}
    for key in ("quantity", "per_unit_amount"):
        shown[key] = Decimal(line[key])
    for key in ("category", "payment_term", "tier"):
        if line.get(key) is not None:
            shown[key] = line[key]
    if "amount_discounts" in line:
        shown["amount_discounts"] = [
            (found["reason"], found["ref"], Decimal(found["amount"])) for found in line["amount_discounts"]
        ]
    if "credits_applied" in line:
        shown["credits_applied"] = [
            (found["credit_index"], Decimal(found["amount"])) for found in line["credits_applied"]
        ]
    if line.get("period"):
        shown["period"] = (line["period"]["from"], line["period"]["to"])
    shown["totals"] = {key: Decimal(value) for key, value in line["totals"].items()}
    return shown


def came_line(row: Mapping[str, Any]) -> Shown:
    """A row of DETAILED_LINES or BOOKINGS."""
    return {
        **{
            key: row[key]
            for key in ("ref", "quantity", "per_unit_amount", "category", "payment_term", "tier")
        },
        "amount_discounts": [(d["reason"], d["ref"], d["amount"]) for d in row["amount_discounts"]],
        "credits_applied": [(c["credit_index"], c["amount"]) for c in row["credits_applied"]],
        "period": tuple(f"{row[key]:%FT%TZ}" for key in ("period_from", "period_to")),
        "totals": {key: row[key] for key in TOTALS},
    }


def same(expected: Iterable[Shown], came: Iterable[Shown]) -> bool:
    """Whether the lines agree, in order, in everything the case states."""
    wanted, found = list(expected), list(came)
    return len(wanted) == len(found) and all(
        all(other[key] == value for key, value in one.items())
        for one, other in zip(wanted, found, strict=True)
    )


def text(lines: Iterable[Shown]) -> str:
    """Lines as one short text."""
    return (
        "; ".join(
            f"{line['ref']} {line['quantity']:f} @ {line['per_unit_amount']:f} "
            + " ".join(f"{key} {value:f}" for key, value in line["totals"].items() if value)
            + "".join(f" {reason} -{amount:f}" for reason, _, amount in line.get("amount_discounts", []))
            for line in lines
        )
        or "none"
    )
