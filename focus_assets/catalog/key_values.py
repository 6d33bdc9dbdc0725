"""Fixed keys and values: tags, and properties of SKU prices, as a configuration states them in several layers.

What belongs here: what may stand in such a map (FOCUS attribute Key-Value Format: flat, values are texts, numbers,
true, false or null), how layers of them become one, which keys of tags are the vendor's. What does not: rows.

Null takes a key away that a farther layer states: FOCUS writes a tag without a value as true, never as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

KEY: Final = r"^\S(?:.*\S)?$"

Value = str | bool | int | float | None
"""What a key of a flat object can have."""


def plain_value(value: Any) -> Any:
    """Refuse what is not flat, and a number that JSON readers would not get as it is written."""
    if isinstance(value, Mapping | list | tuple):
        kind = "a mapping" if isinstance(value, Mapping) else "a list"
        raise ValueError(
            f"found {kind}; allowed: a text, a number, true, false or null (FOCUS keeps these flat)"
        )
    if isinstance(value, Decimal | float):
        number = float(value)
        exact = Decimal(repr(number)) == (value if isinstance(value, Decimal) else Decimal(repr(value)))
        if number in (float("inf"), float("-inf")) or not exact:
            raise ValueError("has more digits than a JSON number keeps; put it in quotes")
        return number
    return value


def _is_empty(value: Mapping[str, Value]) -> bool:
    return not value


KeyValues = Annotated[
    Mapping[Annotated[str, Field(pattern=KEY)], Annotated[Value, BeforeValidator(plain_value)]],
    # Where nothing is stated, snapshots and manifests are the bytes they were before there was such a key.
    Field(exclude_if=_is_empty),
]
"""A flat map of keys to values; null takes a key of a farther layer away."""


def layered(*layers: Mapping[str, Value]) -> dict[str, Value]:
    """One map of several, the nearest last: each key as the nearest layer states it, without those that are null."""
    found: dict[str, Value] = {}
    for layer in layers:
        found |= layer
    return {key: found[key] for key in sorted(found) if found[key] is not None}


def vendor_prefix(configured: str | None) -> str | None:
    """The prefix with its closing ``/``; None where the vendor adds no tags."""
    return f"{configured.rstrip('/')}/" if configured and configured.rstrip("/") else None


def vendors_keys(
    tags: Mapping[str, Value], configured: str | None, *, removable: bool = False
) -> Iterator[str]:
    """What is wrong with keys that begin as the vendor's do; where ``removable``, null may take such a tag away."""
    prefix = vendor_prefix(configured)
    for key, value in tags.items():
        if prefix is None or not key.startswith(prefix) or (removable and value is None):
            continue
        takes_away = "; null takes it away" if removable else ""
        yield (
            f"found the key {key!r}, which begins with defaults.vendor_tag_prefix {prefix!r}: such tags are made of "
            f"customers' labels; allowed: any other key{takes_away}"
        )
