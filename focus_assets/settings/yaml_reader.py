"""YAML as it was written: numbers exact, keys once, and the line of everything.

What belongs here: text to plain Python values. What does not: what the values mean (``models``).

Read are the plain scalars of YAML 1.2: ``no``, ``on`` and ``1:30`` are texts, ``0.1`` is the decimal 0.1,
dates stay texts. YAML 1.1 would make the country code NO a false and 0.1 a binary float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import yaml

from focus_assets.errors import FocusAssetsError

KeyPath = tuple[str | int, ...]

_PLAIN: Final = {
    "tag:yaml.org,2002:null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "tag:yaml.org,2002:bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "tag:yaml.org,2002:int": re.compile(r"^[-+]?[0-9]+$"),
    "tag:yaml.org,2002:float": re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    "tag:yaml.org,2002:merge": re.compile(r"^<<$"),
}
_MERGE: Final = "tag:yaml.org,2002:merge"

if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlProblem(FocusAssetsError):
    """Text that is not YAML, or YAML that says two things at once."""

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        self.what = what
        super().__init__(f"line {line}: {what}")


@dataclass(frozen=True)
class Document:
    """The values of a YAML text and the line, from 1, on which each key path begins."""

    data: Any
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of ``path``, else of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(_Base):
    """PyYAML's safe loader with the plain scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[Any, Any] = {}


for _tag, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _pattern, None)


def read_yaml(text: str) -> Document:
    """Read one YAML document.

    Mappings become dicts with text keys, integers ``int``, other numbers ``Decimal``; raises
    :class:`YamlProblem`, naming the line, for text that is no YAML, a key that stands twice, or a tag.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        data = _value(loader, root, (), lines, ()) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(
            mark.line + 1 if mark else 1, f"is not YAML: {error.problem or error.context}"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlProblem(line, f"is not YAML: {error.reason}") from None
    finally:
        loader.dispose()
    return Document(data, lines)


def _value(
    loader: _Loader, node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], around: tuple[yaml.Node, ...]
) -> Any:
    if node in around:
        raise YamlProblem(node.start_mark.line + 1, "an alias refers to what it stands in")
    lines.setdefault(path, node.start_mark.line + 1)
    inside = (*around, node)
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
        loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            lines[*path, key] = key_node.start_mark.line + 1
            found[key] = _value(loader, value_node, (*path, key), lines, inside)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, i), lines, inside) for i, item in enumerate(node.value)]
    return _scalar(node)


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlProblem(line, "a key is a list or a mapping; keys are texts")
        if key_node.tag != _MERGE and (earlier := first.setdefault(key_node.value, line)) is not line:
            raise YamlProblem(line, f"key {key_node.value!r} stands twice; it first stands in line {earlier}")


def _scalar(node: yaml.Node) -> Any:
    text = node.value
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return Decimal(text)
        case "str":
            return text
    raise YamlProblem(node.start_mark.line + 1, f"the tag {node.tag!r} is not allowed; write a plain value")
