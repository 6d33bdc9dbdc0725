"""What every entry of a catalog and of ``focus.yaml`` is made of: the base model, its names and numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

SLUG = r"^[a-z0-9]+(?:[_-][a-z0-9]+)*$"
DIMENSION_KEY = r"^[a-zA-Z_][0-9a-zA-Z_]*$"

Slug = Annotated[str, Field(pattern=SLUG, max_length=64)]
"""A name that other entries refer to."""


def decimal_text(value: Any) -> Any:
    """Refuse a binary float, which has lost digits already."""
    if isinstance(value, float):
        raise ValueError("is a binary float; write the number as text or leave it to the YAML reader")
    return value


Amount = Annotated[Decimal, BeforeValidator(decimal_text), Field(ge=0, max_digits=26, decimal_places=12)]
"""An amount of money or a multiplier; never negative."""

Quantity = Annotated[Decimal, BeforeValidator(decimal_text), Field(gt=0, max_digits=29, decimal_places=9)]
"""A quantity above zero."""

FreeQuantity = Annotated[Decimal, BeforeValidator(decimal_text), Field(ge=0, max_digits=25, decimal_places=9)]
"""A quantity that may be zero."""

Factor = Annotated[Decimal, BeforeValidator(decimal_text), Field(gt=0, max_digits=25, decimal_places=12)]
"""What a quantity is multiplied or divided by."""

Percentage = Annotated[Decimal, BeforeValidator(decimal_text), Field(ge=0, le=100, decimal_places=10)]
"""A share of 0 to 100 percent."""


class Entry(BaseModel):
    """A frozen model that reads snake_case and OpenMeter's camelCase and refuses unknown keys.

    The docstring below a field is its description in the JSON Schema of ``focus.yaml``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        loc_by_alias=False,
        use_attribute_docstrings=True,
        alias_generator=AliasGenerator(validation_alias=to_camel),
        populate_by_name=True,
    )
