"""``unit_config``: metered units to billed ones, and which conversions are allowed and equal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
from pydantic import ValidationError

from focus_assets.catalog.rate_card_terms import UnitConfig
from focus_assets.decimals import PRICING_QUANTITY, UNIT_PRICE
from focus_assets.rating.detailed_lines.unit_config import converted, rounded, rounding_unit
from focus_assets_tests.vectors import Difference

Case = Mapping[str, Any]


def run(case: Case) -> Difference | None:
    """Apply, validate or compare."""
    match case["check"]:
        case "validate":
            return _validate(case)
        case "equal":
            came: Any = {"equal": _same(case["a"], case["b"])}
        case "apply":
            came = _apply(case)
        case check:
            raise ValueError(f"unknown check {check!r}")
    expected = {
        key: value if isinstance(value, bool) else Decimal(value) for key, value in case["expect"].items()
    }
    came = {key: came[key] for key in expected}
    return None if came == expected else Difference(str(expected), str(came))


def _validate(case: Case) -> Difference | None:
    try:
        _config(case["config"])
    except ValidationError as refusal:
        return None if case["expect_error"] else Difference("valid", f"refused: {refusal}")
    return Difference(str(case["expect_error"]), "valid") if case["expect_error"] else None


def _config(given: Case | None) -> UnitConfig | None:
    return None if given is None else UnitConfig.model_validate(given)


def _same(a: Case | None, b: Case | None) -> bool:
    one, other = _config(a), _config(b)
    if one is None or other is None:
        return one is other
    return one.significant == other.significant


def _apply(case: Case) -> dict[str, Decimal]:
    try:
        config = _config(case["config"])
    except ValidationError:  # unvalidated, what is unknown changes nothing and the rest still applies
        given = {**case["config"], "conversion_factor": Decimal(case["config"]["conversion_factor"])}
        config = UnitConfig.model_construct(**given)
    terms = {
        "operation": config.operation if config else None,
        "conversion_factor": config.conversion_factor if config else None,
        "rounding": config.rounding if config else None,
        "rounding_unit": rounding_unit(config) if config else None,
    }
    frame = pl.LazyFrame(
        [{"quantity": Decimal(case["quantity"]), **terms}],
        schema={
            "quantity": PRICING_QUANTITY,
            "operation": pl.String,
            "conversion_factor": UNIT_PRICE,
            "rounding": pl.String,
            "rounding_unit": PRICING_QUANTITY,
        },
    ).with_columns(converted(pl.col("quantity")).alias("converted"))
    row = frame.with_columns(rounded(pl.col("converted")).alias("invoiced")).collect().row(0, named=True)
    return {key: row[key] for key in ("converted", "invoiced")}
