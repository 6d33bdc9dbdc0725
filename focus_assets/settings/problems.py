"""Validation problems as sentences: where, what was found, what is allowed.

What belongs here: the translation of pydantic's errors into words of the configuration file. What does not:
rules.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from focus_assets.catalog.key_values import KEY
from focus_assets.catalog.models import DIMENSION_KEY, SLUG
from focus_assets.settings.yaml_reader import KeyPath

_PATTERNS: Final = {
    SLUG: "lower-case letters, digits, - and _, such as input_tokens",
    DIMENSION_KEY: "letters, digits and _, not beginning with a digit",
    KEY: "a text that is not empty, without spaces at its ends",
    r"^[A-Z]{3}$": "an ISO 4217 code of three capitals, such as USD",
}
_KINDS: Final = {
    "string_type": "a text (put it in quotes)",
    "string_too_short": "a text that is not empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "mapping_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "date_type": "a day such as 2026-08-01",
    "date_parsing": "a day such as 2026-08-01",
    "date_from_datetime_parsing": "a day such as 2026-08-01",
    "date_from_datetime_inexact": "a day such as 2026-08-01, without a time",
    "datetime_type": "an instant such as 2026-08-15T13:22:07Z",
    "datetime_parsing": "an instant such as 2026-08-15T13:22:07Z",
    "datetime_from_date_parsing": "an instant such as 2026-08-15T13:22:07Z",
}
_LABEL_KEYS: Final = ("slug", "key", "name", "feature")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at a key path of the file."""

    path: KeyPath
    what: str

    def label(self, data: Any) -> str:
        """The path as people read it: list items by their slug, key or name, else by position from 0."""
        label = ""
        for part in self.path:
            inner = data[part] if _has(data, part) else None
            if isinstance(part, int):
                label += f"[{_item_name(inner) or part}]"
            else:
                label += f".{part}" if label else part
            data = inner
        return label or "the file"


def translate(error: ValidationError, model: type[BaseModel], data: Any) -> list[Problem]:
    """One problem for each thing that is wrong with ``data``, the file's content."""
    problems = []
    for details in error.errors(include_url=False):
        path, around = _walk(details["loc"], model, data)
        problems.append(Problem(path, _sentence(details, path, around)))
    return problems


def parse_place(place: str) -> KeyPath:
    """``plans[2].rate_cards[0].feature`` as a key path."""
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", place)
    return tuple(int(index) if index else name for index, name in parts)


def locate(path: KeyPath, data: Any) -> KeyPath:
    """``path`` with its keys spelled as the file spells them."""
    found: list[str | int] = []
    for part in path:
        part = _spelling(data, part)
        found.append(part)
        data = data[part] if _has(data, part) else None
    return tuple(found)


def _sentence(details: ErrorDetails, path: KeyPath, around: Any) -> str:
    kind, context = details["type"], details.get("ctx", {})
    found = f"found {_shown(details['input'])}"
    match kind:
        case "missing":
            return "is missing" + _meaning(around, path[-1])
        case "extra_forbidden":
            return _unknown_key(str(path[-1]), around)
        case "value_error":
            reason = details["msg"].removeprefix("Value error, ")
            return reason if isinstance(details["input"], Mapping | list) else f"{found}: {reason}"
        case "literal_error" | "enum":
            return f"found {_shown(details['input'])}; allowed: {context['expected']}"
        case "union_tag_invalid":
            tag = context["tag"]
            key = context["discriminator"].strip("'")
            return f"found {key} {tag!r}; allowed: {context['expected_tags']}"
        case "union_tag_not_found":
            key = context["discriminator"].strip("'")
            return f"is missing {key}; it says which kind this is" + _kinds_allowed(around, path)
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            return f"{found}; allowed: {_PATTERNS.get(pattern, f'what matches {pattern}')}"
    if kind in _KINDS:
        return f"{found}; allowed: {_KINDS[kind]}"
    allowed = re.sub(r"^.*? should ", "", details["msg"])
    return f"{found}; it should {allowed}"


def _unknown_key(key: str, around: Any) -> str:
    allowed = list(around.model_fields) if isinstance(around, type) and issubclass(around, BaseModel) else []
    near = difflib.get_close_matches(re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(), allowed, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown key {key!r}{guess} Allowed: {', '.join(allowed)}"


def _meaning(around: Any, key: str | int) -> str:
    if isinstance(around, type) and issubclass(around, BaseModel) and key in around.model_fields:
        description = around.model_fields[str(key)].description
        return f". {key}: {description}" if description else ""
    return ""


def _kinds_allowed(around: Any, path: KeyPath) -> str:
    kind = _unwrapped(_inner(around, path[-1])) if path else None
    kinds = [get_args(member.model_fields["type"].annotation)[0] for member in _members(kind) or []]
    return f"; allowed: {', '.join(kinds)}" if kinds else ""


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return f"the number {value}"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _walk(loc: tuple[str | int, ...], model: type[BaseModel], data: Any) -> tuple[KeyPath, Any]:
    """The key path in the file of a pydantic location, and the type of what holds its last key.

    A location also names the member of a union; those parts are not in the file.
    """
    kind: Any = model
    around: Any = model
    path: list[str | int] = []
    for part in loc:
        kind = _unwrapped(kind)
        if part == "[key]":
            break
        members = _members(kind)
        if members is not None:
            chosen = [m for m in members if part in _tags(m)]
            if chosen:
                kind = chosen[0]
                continue
            kind = _unwrapped(members[0])
        around = kind
        spelled = _spelling(data, part)
        path.append(spelled)
        data = data[spelled] if _has(data, spelled) else None
        kind = _inner(kind, part)
    return tuple(path), around


def _unwrapped(kind: Any) -> Any:
    while get_origin(kind) is Annotated and _tags(kind) == set():
        kind = get_args(kind)[0]
    if get_origin(kind) is Annotated:
        return get_args(kind)[0]
    members = [m for m in get_args(kind) if m is not type(None)] if _is_union(kind) else []
    return _unwrapped(members[0]) if len(members) == 1 else kind


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _members(kind: Any) -> list[Any] | None:
    return [m for m in get_args(kind) if m is not type(None)] if _is_union(kind) else None


def _tags(member: Any) -> set[Any]:
    """What pydantic calls a member of a union in a location."""
    if get_origin(member) is Annotated:
        return {m.tag for m in get_args(member)[1:] if hasattr(m, "tag")}
    if isinstance(member, type) and issubclass(member, BaseModel):
        kind = member.model_fields.get("type")
        return {member.__name__, *(get_args(kind.annotation) if kind else ())}
    return set()


def _inner(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(kind)
    if not arguments:
        return None
    return arguments[0] if isinstance(part, int) else arguments[-1]


def _spelling(data: Any, part: str | int) -> str | int:
    if isinstance(part, str) and isinstance(data, Mapping) and part not in data and to_camel(part) in data:
        return to_camel(part)
    return part


def _has(data: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(data, list) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _item_name(item: Any) -> str | None:
    if isinstance(item, Mapping):
        return next((str(item[key]) for key in _LABEL_KEYS if isinstance(item.get(key), str)), None)
    return None
