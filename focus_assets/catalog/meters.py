"""What is metered: which events count, how, and what of them a customer buys."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from focus_assets.catalog.entry import DIMENSION_KEY, Entry, Slug
from focus_assets.catalog.instants import Instant
from focus_assets.catalog.key_values import KeyValues


class Aggregation(StrEnum):
    """How a meter turns events into one value."""

    SUM = "SUM"
    COUNT = "COUNT"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    UNIQUE_COUNT = "UNIQUE_COUNT"
    LATEST = "LATEST"

    @property
    def adds_up_over_time(self) -> bool:
        """Whether the value of a period is the sum of the values of its parts."""
        return self in (Aggregation.SUM, Aggregation.COUNT)

    @property
    def can_fall(self) -> bool:
        """Whether it can be lower at the end of a period than within it. Source: OpenMeter ``billableperiod.go``."""
        return self in (Aggregation.MIN, Aggregation.AVG, Aggregation.LATEST)


class FromDimension(Entry):
    """A FOCUS dimension whose value an event carries; ``default`` stands in where an event has none."""

    dimension: Annotated[str, Field(pattern=DIMENSION_KEY)]
    """The group_by key of the meter that holds the value."""
    default: str | None = None
    """The value where an event has none."""


def _is_from_dimension(value: Any) -> str:
    return "(dimension)" if isinstance(value, Mapping | FromDimension) else "(text)"


DimensionSetting = Annotated[
    Annotated[str | None, Tag("(text)")] | Annotated[FromDimension, Tag("(dimension)")],
    Discriminator(_is_from_dimension),
]
"""A FOCUS column's value: a text, an explicit null, or the name of an event dimension."""


class Meter(Entry):
    """A meter: which events count, how, and what one unit is called."""

    slug: Slug
    """What features refer to."""
    name: str = ""
    """Display name; becomes SkuMeter."""
    event_type: Annotated[str, Field(min_length=1)]
    """CloudEvents type of the events that count."""
    aggregation: Aggregation
    """How events become one value."""
    value_property: str | None = None
    """JSON path of the value in the event's data, such as $.tokens; none for COUNT."""
    group_by: Mapping[Annotated[str, Field(pattern=DIMENSION_KEY)], str] = {}
    """Dimension key to JSON path in the event's data."""
    event_from: Instant | None = None
    """Events before this instant do not count."""
    unit: Annotated[str, Field(min_length=1)] = "Units"
    """What one unit is called; becomes ConsumedUnit."""
    sku_dimensions: tuple[str, ...] = ()
    """Dimensions that change what is bought; they become part of SkuId."""
    tag_dimensions: tuple[str, ...] | None = None
    """Dimensions that become Tags; all of group_by where absent."""
    dimensions: Mapping[str, DimensionSetting] = {}
    """FOCUS columns of this meter's rows: a text, null, or {dimension: KEY}."""
    tags: KeyValues = {}
    """Fixed tags of this meter's rows, where neither event nor customer has the key; null: no such tag."""
    sku_price_details: KeyValues = {}
    """Properties in SkuPriceDetails of this meter's prices: FOCUS's own, or keys that begin with x_; null: none."""

    @property
    def title(self) -> str:
        """The display name; the slug where none was given."""
        return self.name or self.slug

    @model_validator(mode="after")
    def _value_property_fits_the_aggregation(self) -> Self:
        if self.aggregation is Aggregation.COUNT:
            if self.value_property is not None:
                raise ValueError("value_property has no meaning for COUNT; leave it out")
        elif self.value_property is None:
            raise ValueError(f"value_property is needed for {self.aggregation}, such as $.tokens")
        if "subject" in self.group_by:
            raise ValueError(
                "group_by key 'subject' is taken: it names the event's own subject; choose another"
            )
        for key, path in [("value_property", self.value_property), *self.group_by.items()]:
            if path is not None and not path.startswith("$"):
                raise ValueError(f"{key} is the JSON path {path!r}; JSON paths begin with $")
        used = [*self.sku_dimensions, *(self.tag_dimensions or ())]
        used += [s.dimension for s in self.dimensions.values() if isinstance(s, FromDimension)]
        for name in used:
            if name not in self.group_by and name != "subject":
                raise ValueError(
                    f"dimension {name!r} is not one of the meter's group_by keys "
                    f"({', '.join(self.group_by) or 'none'})"
                )
        return self


class Feature(Entry):
    """What a customer buys: a meter, optionally only where its dimensions have certain values; or what a fee is for."""

    key: Slug
    """What rate cards refer to."""
    name: str = ""
    """Display name."""
    meter: Slug | None = None
    """Slug of the meter; none for what is sold at flat fees only."""
    filters: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """Dimension key to the values that count; others are not this feature."""

    @field_validator("filters")
    @classmethod
    def _absent_values_cannot_be_chosen(
        cls, value: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        for name, allowed in value.items():
            for absent in ("", "null"):
                if absent in allowed:
                    raise ValueError(f"{name}: {absent!r} is how an absent value arrives and matches nothing")
        return value

    @model_validator(mode="after")
    def _filters_need_a_meter(self) -> Self:
        if self.meter is None and self.filters:
            raise ValueError("filters choose from a meter's usage; name the meter, or leave them out")
        return self

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key
