"""What stands beside the price of a rate card: conversion of units, discounts, proration.

Source: OpenMeter ``productcatalog/unitconfig.go``, ``productcatalog/discount.go``, ``productcatalog/prorating.go``.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from focus_assets.catalog.entry import Entry, Factor, FreeQuantity, Percentage


class UnitConfig(Entry):
    """How metered units become billed ones; tiers, unit prices and free units are then in billed units."""

    operation: Literal["multiply", "divide"]
    """What is done with the metered quantity."""
    conversion_factor: Factor
    """What it is multiplied or divided by."""
    rounding: Literal["none", "ceiling", "floor", "half_up"] = "none"
    """How the billed quantity is rounded; half_up: ties away from zero."""
    precision: int = 0
    """Decimal places that rounding leaves."""
    display_unit: str = ""
    """What a billed unit is called."""

    @model_validator(mode="before")
    @classmethod
    def _absent_is_none(cls, data: object) -> object:
        """OpenMeter knows an empty rounding and a missing display unit."""
        if not isinstance(data, dict):
            return data
        empty = {key: data.get(key) for key in ("rounding", "display_unit", "displayUnit", "precision")}
        return {key: value for key, value in data.items() if key not in empty or value not in ("", None)}

    @model_validator(mode="after")
    def _precision_is_a_number_of_places(self) -> Self:
        if self.rounding != "none" and self.precision < 0:
            raise ValueError(f"precision {self.precision} is negative; 0 rounds to whole units")
        return self

    @property
    def significant(self) -> Self:
        """The same rule in its plainest form: equal for two that bill alike and are shown alike."""
        return self.model_copy(update={"precision": 0}) if self.rounding == "none" else self


class Discounts(Entry):
    """What is taken off a rate card's price."""

    percentage: Percentage | None = None
    """Percent taken off every line; 0 to 100."""
    percentage_correlation_id: str = ""
    """What identifies the percentage discount over versions and invoices."""
    usage: FreeQuantity | None = None
    """Units that are free in each rating period."""
    usage_correlation_id: str = ""
    """What identifies the usage discount over versions and invoices."""


class ProRatingConfig(Entry):
    """Whether flat fees of a period that is cut short are charged in part."""

    enabled: bool = True
    """Whether flat fees are prorated."""
    mode: str = "prorate_prices"
    """prorate_prices; anything else is not prorated."""

    @property
    def prorates(self) -> bool:
        """Whether a fee of a period that is cut short is charged in part."""
        return self.enabled and self.mode == "prorate_prices"
