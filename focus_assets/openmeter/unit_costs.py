"""What usage costs the seller, and the currencies of what is sold, as the server has them now.

What belongs here: unit costs of features, LLM prices and currencies as catalog entries. What does not: what is sold
(``snapshot``). OpenMeter's own cost query prices old usage at today's LLM prices; a day's snapshot keeps that day's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from focus_assets.catalog.entry import Entry
from focus_assets.catalog.unit_costs import Currency, FeatureUnitCost, LlmPrice, LlmUnitCost
from focus_assets.openmeter.errors import NotFound, UnsupportedCatalogEntry
from focus_assets.openmeter.server import Server
from focus_assets.openmeter.v1 import V1

E = TypeVar("E", bound=Entry)


async def unit_costs(server: Server) -> tuple[FeatureUnitCost, ...]:
    """The unit cost of every feature that has one, by key. Raises OpenMeterError."""
    features = await server.api.features()
    said = {
        each.key: each.unit_cost
        for each in features
        if each.unit_cost is not None
        and getattr(each, "archived_at", None) is None
        and each.deleted_at is None
    }
    return tuple(
        _entry(FeatureUnitCost, {"feature": key, "cost": _known(said[key])}, f"feature {key!r}, unit cost")
        for key in sorted(said)
    )


async def llm_prices(server: Server, costs: Iterable[FeatureUnitCost]) -> tuple[LlmPrice, ...]:
    """Every LLM price, where a feature's cost is looked up among them and the server has them (v3 only).

    Raises OpenMeterError.
    """
    if server.v3 is None or not any(isinstance(each.cost, LlmUnitCost) for each in costs):
        return ()
    try:
        found = await server.v3.llm_prices()
    except NotFound:
        return ()
    described = [
        {
            "id": each.id,
            "provider": each.provider.id,
            "model": each.model.id,
            "currency": each.currency,
            "source": each.source,
            "pricing": _known(each.pricing),
            "effective_from": each.effective_from,
            "effective_to": each.effective_to,
        }
        for each in sorted(found, key=lambda each: each.id)
    ]
    return tuple(_entry(LlmPrice, each, f"LLM price {each['id']}") for each in described)


async def currencies(v1: V1, codes: Iterable[str]) -> tuple[Currency, ...]:
    """The currencies of ``codes`` that the server knows, by code. Raises OpenMeterError."""
    known = {each.code: each.model_dump() for each in await v1.currencies()}
    return tuple(
        _entry(Currency, known[code], f"currency {code!r}") for code in sorted(set(codes)) if code in known
    )


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null; deeper objects too."""
    return {
        key: _known(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
        if value is not None
    }


def _entry(model: type[E], described: Mapping[str, Any], place: str) -> E:
    try:
        return model.model_validate(described)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:3])
        raise UnsupportedCatalogEntry(
            f"{place} cannot be represented here: {told}. Nothing was written."
        ) from None
