"""What usage costs the seller, and the currencies of the catalog, as OpenMeter knows them.

What belongs here: models. What does not: prices that customers pay (``models``). Amounts are per unit or token and
exact; nothing is rounded.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from focus_assets.catalog.entry import Entry, decimal_text

UnitAmount = Annotated[Decimal, BeforeValidator(decimal_text), Field(max_digits=38, decimal_places=18)]
"""An amount per unit or token; a thousandth of a millionth of a dollar is not unusual."""


class ManualUnitCost(Entry):
    """A fixed cost of one unit, in USD."""

    type: Literal["manual"]
    amount: UnitAmount


class LlmPricing(Entry):
    """What a token costs by its kind."""

    input_per_token: UnitAmount
    output_per_token: UnitAmount
    cache_read_per_token: UnitAmount | None = None
    cache_write_per_token: UnitAmount | None = None
    reasoning_per_token: UnitAmount | None = None


class LlmUnitCost(Entry):
    """A cost looked up among the LLM prices: each part is fixed, or a dimension of the meter that holds it.

    ``pricing`` is what OpenMeter found that day, where all parts are fixed.
    """

    type: Literal["llm"]
    provider: str | None = None
    provider_property: str | None = None
    model: str | None = None
    model_property: str | None = None
    token_type: str | None = None
    token_type_property: str | None = None
    pricing: LlmPricing | None = None


class FeatureUnitCost(Entry):
    """What one unit of a feature's usage costs the seller."""

    feature: str
    cost: Annotated[ManualUnitCost | LlmUnitCost, Field(discriminator="type")]


class LlmPrice(Entry):
    """What a model's tokens cost, from and until when; ``effective_to`` None is open."""

    id: str
    provider: str
    model: str
    currency: str
    source: str
    pricing: LlmPricing
    effective_from: dt.datetime
    effective_to: dt.datetime | None = None


class Currency(Entry):
    """A currency and how many digits after the decimal point its amounts have on an invoice."""

    code: str
    name: str
    symbol: str
    subunits: Annotated[int, Field(ge=0, le=18)]
