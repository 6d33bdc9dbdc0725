"""``docs/configuration.md``: every key of ``focus.yaml``, from the same models that read it.

What belongs here: the page. What does not: the keys (``file``, ``models``, ``catalog.models``).
Run ``python -m focus_assets.settings.reference > docs/configuration.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from focus_assets.settings.file import json_schema

_INTRODUCTION: Final = """# Configuration

One file, `focus.yaml`, says what is metered, who buys it at what price, and who receives FOCUS files. It is looked for
at `--config`, then `$FOCUS_ASSETS_CONFIG`, then `./focus.yaml`. `focus-assets init` writes a commented one,
`focus-assets doctor` checks it, `focus-assets schema` prints its JSON Schema for your editor.

- Names are OpenMeter's, in snake_case or camelCase. Instants are UTC, to the second; a bare date is its midnight.
- Numbers are read exactly as written; a price of `0.1` is a tenth and nothing else.
- A price change repeats a rate card with a later `valid_from`; a changed customer repeats its key with one.
- Paths are relative to the file. Secrets do not belong in it: access keys come from the environment or an AWS profile.
- A key that is not listed here is refused, with the nearest that is.

FOCUS dimensions (`dimensions` of a destination, a customer, a meter or `defaults`) are decided by the first that says
something: the destination for what it gets, the event's own value (`{ dimension: region, default: eu-1 }`), the
customer, the meter, the defaults. `focus-assets dimensions` shows which did. What FOCUS requires and nobody decides is
refused before anything is written; `null` is an answer where FOCUS allows it.

`tags` are decided in the same order, key by key, and so are `sku_price_details`, of meters and `defaults` only; there
`null` takes away what a later one states. Values are texts, numbers, `true` or `false`.

This page is made from the models that read the file: `python -m focus_assets.settings.reference`.
"""


def page() -> str:
    """The page as Markdown."""
    schema = json_schema()
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    lines = [_INTRODUCTION, "## focus.yaml\n", *_table(schema, definitions)]
    for name in _in_order(schema, definitions):
        lines += ["", f"## {name}\n"]
        if description := definitions[name].get("description"):
            lines += [" ".join(description.split()), ""]
        lines += list(_table(definitions[name], definitions))
    return "\n".join(lines) + "\n"


def _in_order(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """Definitions with keys of their own, in the order in which a reader meets them."""
    found: list[str] = []
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop(0)):
            if name not in found:
                found.append(name)
                waiting.append(definitions[name])
    return [name for name in found if definitions[name].get("properties")]


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rsplit("/", 1)[-1]
        for key, value in node.items():
            if key != "$defs":
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _table(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | what it takes | default | what it decides |"
    yield "|---|---|---|---|"
    required = set(schema.get("required", ()))
    for key, value in schema.get("properties", {}).items():
        default = "**required**" if key in required else _default(value)
        # A sentence that the referred model has for itself is not repeated at its use.
        referred = definitions[value["$ref"].rsplit("/", 1)[-1]] if "$ref" in value else {}
        meaning = " ".join(str(value.get("description", referred.get("description", ""))).split())
        yield f"| `{key}` | {_kind(value, definitions)} | {default} | {_cell(meaning)} |"


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default is None or default in ([], {}, "") or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`"


def _kind(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        if "properties" not in definitions[name]:
            return _kind(definitions[name], definitions)
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    for several in ("anyOf", "oneOf"):
        if several in value:
            kinds = [_kind(each, definitions) for each in value[several]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null")) + (
                ", or null" if "null" in kinds and len(kinds) > 2 else ""
            )
    if value.get("type") == "array":
        return f"list of {_kind(value['items'], definitions)}" if "items" in value else "list"
    if value.get("type") == "object":
        inner = value.get("additionalProperties") or next(
            iter(value.get("patternProperties", {}).values()), None
        )
        return f"map of {_kind(inner, definitions)}" if isinstance(inner, Mapping) else "map"
    return str(value.get("format") or value.get("type") or "text").replace("string", "text")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
