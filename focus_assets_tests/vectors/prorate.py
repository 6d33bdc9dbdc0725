"""``prorate``: a flat fee of a service period that is cut short."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from focus_assets.catalog.periods import Period
from focus_assets.catalog.rate_card_terms import ProRatingConfig
from focus_assets.errors import FocusAssetsError
from focus_assets.rating.proration import prorated_amount
from focus_assets_tests.vectors import Difference

Case = Mapping[str, Any]


def run(case: Case) -> Difference | None:
    """Prorate and compare the amount."""
    try:
        came = prorated_amount(
            Decimal(case["amount"]),
            case["currency"],
            ProRatingConfig.model_validate(case["pro_rating"]),
            service=_period(case["service_period"]),
            full=_period(case["full_period"]),
            custom_digits=case.get("currency_precision"),
        )
    except FocusAssetsError as refusal:
        return None if case.get("expect_error") else Difference(case["expect"], f"refused: {refusal}")
    if case.get("expect_error"):
        return Difference(f"error {case['expect_error']}", f"{came:f}")
    return None if came == Decimal(case["expect"]) else Difference(case["expect"], f"{came:f}")


def _period(given: Case) -> Period:
    start, end = (dt.datetime.fromisoformat(given[key]).astimezone(dt.UTC) for key in ("from", "to"))
    return Period(start, end)
