"""Reading documents into models: what is missing or of the wrong kind is an error that names request and field.

What belongs here: the base of all wire models and their scalar types. What does not: the models (``wire_v3``,
``wire_v1``).
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    TypeAdapter,
    ValidationError,
)

from focus_assets.openmeter.errors import MalformedResponse

_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SHOWN = 3


class Wire(BaseModel):
    """Part of an answer; fields that are not declared are left alone, for the interface grows."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=False)


def _numeric(value: Any) -> Any:
    """v3 writes numbers as texts, for a JSON number would lose digits on the way."""
    if isinstance(value, str) and _NUMERIC.fullmatch(value):
        return Decimal(value)
    raise ValueError("is no number written as text, such as '12.5'")


def _number(value: Any) -> Any:
    """v1 writes JSON numbers; they arrive as whole numbers or decimals, never as floats."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise ValueError("is no number")


def _instant_text(value: Any) -> Any:
    if not isinstance(value, str) or len(value) < len("2026-01-01T00:00:00Z"):
        raise ValueError("is no instant such as 2026-01-01T00:00:00Z")
    return value


def _in_utc(instant: dt.datetime) -> dt.datetime:
    try:
        return instant.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("is no instant of the years 1 to 9999 in UTC") from None


_INSTANT: Final = TypeAdapter(AwareDatetime)


@lru_cache(maxsize=4_096)
def instant(text: str) -> dt.datetime:
    """An instant in UTC; an answer names the same few windows thousands of times. Raises ValueError."""
    return _in_utc(_INSTANT.validate_python(_instant_text(text)))


Numeric = Annotated[Decimal, BeforeValidator(_numeric)]
Number = Annotated[Decimal, BeforeValidator(_number)]
Whole = Annotated[int, Strict()]
"""Not a decimal either: one of a few characters may stand for a whole number of a billion digits."""
Instant = Annotated[AwareDatetime, BeforeValidator(_instant_text), AfterValidator(_in_utc)]

W = TypeVar("W", bound=Wire)


def read(model: type[W], document: Any, request: str) -> W:
    """``document`` as ``model``; raises MalformedResponse naming the request and the first fields at fault."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems[:_SHOWN]]
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise MalformedResponse(
            f"{request}: the answer is not what the interface says: {'; '.join(told)}{more}. Nothing was written."
        ) from None


def _place(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".") or "the document"
