"""Credits: what a customer was given or has bought in advance, and draws down.

What belongs here: a grant, whether it can be used on a day, and the order in which grants are used. What does not:
drawing them down (``rating.credits``). Names and order are OpenMeter's (``customers/credits/grant.tsp``,
``ledger/collector``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from focus_assets.catalog.currencies import CurrencyCode, PriceCurrencyCode
from focus_assets.catalog.entry import Amount, Entry
from focus_assets.catalog.models import Instant, Slug
from focus_assets.decimals import EXACT

_DAY = dt.timedelta(days=1)


class CreditFilters(Entry):
    """What a grant may be used for."""

    features: tuple[Slug, ...] = ()
    """Keys of the features it pays for; all where there are none."""


class CreditPurchase(Entry):
    """What credit in a custom currency costs."""

    currency: CurrencyCode | None = None
    """ISO 4217 code that is paid in; the default's where absent."""
    per_unit_cost_basis: Annotated[Amount, Field(gt=0)]
    """Money for one unit of the custom currency."""


class CreditGrant(Entry):
    """Credit of a customer, in money or a custom currency: given (``none``) or bought (``invoice``, ``external``)."""

    key: Annotated[str, Field(min_length=1, max_length=256)]
    """Unique name."""
    id: str | None = None
    """What identifies the grant for ever, such as OpenMeter's id; the key where absent."""
    name: str = ""
    """Display name."""
    customer: str
    """Key of the customer."""
    funding_method: Literal["none", "invoice", "external"] = "none"
    """none: promotional; invoice and external: bought, here or elsewhere."""
    currency: PriceCurrencyCode | None = None
    """ISO 4217 code or a custom currency; the default's where absent."""
    amount: Annotated[Amount, Field(gt=0)]
    """How much it is worth; in money also what it costs where it is bought."""
    purchase: CreditPurchase | None = None
    """What it costs where it is bought in a custom currency."""
    priority: Annotated[int, Field(ge=1, le=1000)] = 10
    """Lower numbers are used first; then what expires first."""
    effective_at: Instant
    """From when it can be used."""
    expires_at: Instant | None = None
    """Until when it can be used, exclusive; for ever where absent."""
    voided_at: Instant | None = None
    """When what was left of it was forfeited."""
    filters: CreditFilters = CreditFilters()
    """What it may be used for."""
    dimensions: dict[str, str | None] = {}
    """FOCUS columns of the rows that buy it and let it expire; the defaults where absent."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        for name in ("expires_at", "voided_at"):
            instant = getattr(self, name)
            if instant is not None and instant <= self.effective_at:
                raise ValueError(
                    f"{name} {instant:%FT%TZ} is not after effective_at {self.effective_at:%FT%TZ}"
                )
        is_custom = self.currency is not None and len(self.currency) != 3
        if (self.purchase is not None) != (self.is_bought and is_custom):
            raise ValueError(
                "purchase says what credit in a custom currency costs: it belongs to funding_method invoice or "
                f"external with such a currency; this is {self.funding_method} in {self.currency or 'money'}"
            )
        if self.dimensions and not self.is_bought:
            raise ValueError(
                "dimensions are of credit that is bought; what is given has those of what it pays"
            )
        return self

    @property
    def grant_id(self) -> str:
        """What identifies the grant for ever: its id, else its key."""
        return self.id or self.key

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key

    @property
    def is_bought(self) -> bool:
        """Whether it was paid for: what it then pays for was billed with it."""
        return self.funding_method != "none"

    @property
    def paid_in(self) -> str | None:
        """The money that it is paid in where it was bought; null: the default's."""
        return self.purchase.currency if self.purchase else self.currency

    @property
    def price(self) -> Decimal:
        """What it costs where it was bought, exactly."""
        return (
            EXACT.multiply(self.amount, self.purchase.per_unit_cost_basis) if self.purchase else self.amount
        )

    @property
    def end(self) -> dt.datetime | None:
        """When it can no longer be used: it expires or is voided."""
        return min((each for each in (self.expires_at, self.voided_at) if each is not None), default=None)

    def is_usable_on(self, day: dt.date) -> bool:
        """Whether it shares an instant with ``day`` (UTC): it pays for all of such a day's charges."""
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        return self.effective_at < midnight + _DAY and (self.end is None or self.end > midnight)

    def takes_effect_on(self, day: dt.date) -> bool:
        """Whether ``day`` is the first on which it can be used."""
        return self.effective_at.date() == day

    def ends_on(self, day: dt.date) -> bool:
        """Whether ``day`` is the last on which it can be used; one that ends at midnight ends the day before."""
        return self.end is not None and (self.end - dt.timedelta(seconds=1)).date() == day


def in_order_of_use(grants: Iterable[CreditGrant]) -> list[CreditGrant]:
    """By priority, then what expires first, then what took effect first.

    Voiding a grant later changes nothing of the order in which it was used before.
    """
    never = dt.datetime.max.replace(tzinfo=dt.UTC)
    return sorted(grants, key=lambda g: (g.priority, g.expires_at or never, g.effective_at, g.key))
