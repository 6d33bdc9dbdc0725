"""Prices in OpenMeter's vocabulary, and their own validity rules.

What belongs here: what a rate card can say about money. What does not: what usage then costs (``rating``).
Source: OpenMeter ``productcatalog/price.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from focus_assets.catalog.entry import Amount, Entry, Quantity


class Tier(Entry):
    """One tier of a tiered price: up to and including ``up_to_amount``; the last tier is open."""

    up_to_amount: Quantity | None = None
    """Upper bound of the tier, inclusive; the last tier has none."""
    unit_price: Amount | None = None
    """Price of one unit in this tier."""
    flat_price: Amount | None = None
    """Charged once: when usage enters this tier, or of volume tiers for the tier that holds the quantity."""

    @field_validator("unit_price", "flat_price", mode="before")
    @classmethod
    def _amount_of_a_price(cls, value: Any) -> Any:
        """OpenMeter writes ``{"type": "unit", "amount": "0.1"}`` where a bare amount says the same."""
        return value.get("amount") if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _prices_something(self) -> Self:
        if self.unit_price is None and self.flat_price is None:
            raise ValueError("a tier needs a unit_price, a flat_price, or both")
        return self


class FreePrice(Entry):
    """Usage costs nothing; it is metered and shown."""

    type: Literal["free"]
    """Usage costs nothing."""


class FlatPrice(Entry):
    """A fee that no usage changes, once in each service period."""

    type: Literal["flat"]
    """A fee that no usage changes."""
    amount: Amount
    """The fee of a whole period."""
    payment_term: Literal["in_advance", "in_arrears"] = "in_advance"
    """Whether it is charged when its period begins or when it ends."""


class _UsagePrice(Entry):
    """What prices of usage have in common: limits of what a rating period costs."""

    minimum_amount: Amount | None = None
    """A rating period costs at least this much, used or not."""
    maximum_amount: Amount | None = None
    """A rating period costs no more than this."""

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        low, high = self.minimum_amount, self.maximum_amount
        if low and high and low > high:
            raise ValueError(f"maximum_amount {high:f} is below minimum_amount {low:f}")
        return self


class UnitPrice(_UsagePrice):
    """Every unit costs the same."""

    type: Literal["unit"]
    """Every unit costs the same."""
    amount: Amount
    """Price of one unit."""


class TieredPrice(_UsagePrice):
    """Tiers: graduated, each unit is priced by the tier it falls in; volume, all by the tier of the total."""

    type: Literal["tiered"]
    """The price depends on the quantity."""
    mode: Literal["graduated", "volume"]
    """graduated: a unit is priced by the tier it falls in; volume: all by the tier that holds the total."""
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]
    """Tiers in rising order."""

    @model_validator(mode="after")
    def _tiers_cover_every_quantity_once(self) -> Self:
        bounds = [tier.up_to_amount for tier in self.tiers]
        if bounds[-1] is not None or bounds.count(None) != 1:
            raise ValueError(
                "exactly one tier, the last, has no up_to_amount: it takes what lies above the others"
            )
        closed = [bound for bound in bounds if bound is not None]
        if closed != sorted(set(closed)):
            raise ValueError("up_to_amount has to rise from tier to tier")
        return self


class PackagePrice(_UsagePrice):
    """Units are sold in packages; the first unit of a package pays for all of it."""

    type: Literal["package"]
    """Units are sold in packages."""
    amount: Amount
    """Price of one package."""
    quantity_per_package: Quantity
    """Units in one package."""


class DynamicPrice(_UsagePrice):
    """The metered quantity is itself an amount of money."""

    type: Literal["dynamic"]
    """The metered quantity is itself an amount of money."""
    multiplier: Amount = Field(default=1, validate_default=True)
    """What the metered amount is multiplied by."""


AnyPrice = Annotated[
    FreePrice | FlatPrice | UnitPrice | TieredPrice | PackagePrice | DynamicPrice, Field(discriminator="type")
]
"""Every price that a line of an invoice can have."""

Price = Annotated[
    FreePrice | FlatPrice | UnitPrice | TieredPrice | PackagePrice | DynamicPrice, Field(discriminator="type")
]
"""Every price that a rate card of ``focus.yaml`` can have."""
