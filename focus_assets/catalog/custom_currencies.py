"""Custom currencies: credits, tokens or points that a plan's prices are in, and what they are worth in money.

Source: OpenMeter ``currencies`` (custom currencies and their cost bases).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from focus_assets.catalog.currencies import CUSTOM_CODE, CurrencyCode
from focus_assets.catalog.entry import Amount, Entry
from focus_assets.catalog.models import Instant


class CostBasis(Entry):
    """What one unit of a custom currency costs in money from an instant on."""

    fiat_code: CurrencyCode
    """ISO 4217 code of the money."""
    rate: Annotated[Amount, Field(gt=0)]
    """Money for one unit of the custom currency."""
    effective_from: Instant | None = None
    """From when it holds, until a later one does; from the beginning where absent."""


class CustomCurrency(Entry):
    """A currency of one's own, in which a plan can state its prices."""

    code: Annotated[str, Field(pattern=CUSTOM_CODE)]
    """What plans and credits refer to; becomes PricingCurrency. Four letters or more, unlike codes of ISO 4217."""
    name: str = ""
    """What its units are called, in the plural, such as AI Credits; the code where absent."""
    precision: Annotated[int, Field(ge=0, le=12)] = 2
    """Digits after the point that fees in it are rounded to."""
    cost_bases: Annotated[tuple[CostBasis, ...], Field(min_length=1)]
    """What it is worth in money."""

    @model_validator(mode="after")
    def _one_basis_at_a_time(self) -> Self:
        held = [(basis.fiat_code, basis.effective_from) for basis in self.cost_bases]
        for each in held:
            if held.count(each) > 1:
                raise ValueError(f"cost_bases has two in {each[0]} from the same instant")
        return self

    @property
    def title(self) -> str:
        """What its units are called; the code where no name was given."""
        return self.name or self.code

    def rate_at(self, fiat_code: str, instant: dt.datetime) -> Decimal | None:
        """Money for one unit at ``instant``; None where no cost basis holds then."""
        beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
        held = [
            (basis.effective_from or beginning, basis.rate)
            for basis in self.cost_bases
            if basis.fiat_code == fiat_code and (basis.effective_from or beginning) <= instant
        ]
        return max(held)[1] if held else None


@dataclass(frozen=True)
class PricedIn:
    """The custom currency that prices of a charge are in, and what it is worth in the currency of the invoice."""

    currency: CustomCurrency
    rate: Decimal
