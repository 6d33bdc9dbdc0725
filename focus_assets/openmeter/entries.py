"""What a server says as entries of the catalog; what cannot be one is refused by name.

What belongs here: which words a refusal has. What does not: what is read of which answer (``snapshot``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from focus_assets.catalog.models import Entry
from focus_assets.catalog.snapshot import Catalog, CatalogProblem
from focus_assets.openmeter.errors import UnsupportedCatalogEntry

E = TypeVar("E", bound=Entry)

_TOLD_AT_ONCE: Final = 3
_OF_THE_SERVER: Final = re.compile(
    r"(plans|subscriptions|features|customers)\[(\d+)\](\.rate_cards\[(\d+)\])?\.?"
)


def entry(model: type[E], described: Mapping[str, Any], place: str) -> E:
    """``described`` as an entry. Raises UnsupportedCatalogEntry, with ``place`` and the fields that cannot be so."""
    try:
        return model.model_validate(described)
    except ValidationError as error:
        problems: Sequence[Any] = error.errors(include_url=False, include_context=False)
        told = "; ".join(f"{_field(each['loc'])}: {_sentence(each)}" for each in problems[:_TOLD_AT_ONCE])
        raise UnsupportedCatalogEntry(
            f"{place} cannot be represented here: {told}. Nothing was written."
        ) from None


def check_references(catalog: Catalog) -> None:
    """As the catalog's own, with the names of what the server has, which nobody can count."""
    try:
        catalog.check_references()
    except CatalogProblem as problem:
        raise CatalogProblem([(_named(place, catalog), what) for place, what in problem.problems]) from None


def _field(path: Sequence[int | str]) -> str:
    """A field as the catalog has it: pydantic also names the type of a price."""
    return ".".join(str(part) for before, part in pairwise((None, *path)) if before != "price")


def _sentence(problem: Mapping[str, Any]) -> str:
    told, said = str(problem["msg"]).removeprefix("Value error, "), problem["input"]
    return f"{told}, and it is {said!r}" if isinstance(said, str | int) else told


def _named(place: str, catalog: Catalog) -> str:
    """``plan 'pro', item 'tokens', feature`` for ``plans[0].rate_cards[1].feature``; what is the settings' stays."""
    found = _OF_THE_SERVER.match(place)
    if found is None:
        return place
    kind, number = found[1], int(found[2])
    of: Any = getattr(catalog, kind)[number]
    whose = (
        f"subscription {of.key} of customer {of.customer!r}"
        if kind == "subscriptions"
        else f"{kind[:-1]} {of.key!r}"
    )
    item = f"item {of.rate_cards[int(found[4])].key!r}" if found[4] else ""
    return ", ".join(part for part in (whose, item, place[found.end() :]) if part)
