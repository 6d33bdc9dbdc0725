from decimal import Decimal
from typing import Any

import pytest

from focus_assets.settings.yaml_reader import YamlProblem, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Decimal("0.1")),
        ("1e-7", Decimal("1E-7")),
        (".5", Decimal("0.5")),
        ("0.30000000000000000001", Decimal("0.30000000000000000001")),
        ("12345678901234567890", 12345678901234567890),
        ("-3", -3),
        ("true", True),
        ("~", None),
        ("", None),
        ("NO", "NO"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-08-15T13:22:07Z", "2026-08-15T13:22:07Z"),
        ("2026-02-30", "2026-02-30"),
        ("'7'", "7"),
        (".nan", ".nan"),
        ("0x10", "0x10"),
        ("=", "="),
    ],
)
def test_a_plain_scalar_is_read_as_it_was_written(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}").data["a"]
    assert (found, type(found)) == (value, type(value))
    assert str(found) == str(value)


def test_every_key_and_item_knows_its_line() -> None:
    document = read_yaml("# a comment\na:\n  - b: 1\n    c: 2\n  -\n    b: 3\n")
    assert document.line(("a", 0, "c")) == 4
    assert document.line(("a", 1, "b")) == 6
    assert document.line(("a", 1, "missing")) == document.line(("a", 1)) == 6
    assert document.line(()) == 2


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(YamlProblem, match="line 3: key 'a' stands twice; it first stands in line 1"):
        read_yaml("a: 1\nb: 2\na: 3\n")


def test_aliases_and_merge_keys_work_and_the_nearer_key_wins() -> None:
    found = read_yaml("base: &b {x: 1, y: 2}\nsame: *b\nmerged: {<<: *b, y: 3}\n").data
    assert found["same"] == {"x": 1, "y": 2}
    assert found["merged"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [1", "line 1: is not YAML|line 2: is not YAML"),
        ("a:\n\tb: 1", "line 2: is not YAML"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("a: !!python/object:os.system x", "the tag"),
        ("a: &x [*x]", "an alias refers to what it stands in"),
        ("? [a, b]\n: 1", "a key is a list"),
        ("a: \x07", "is not YAML"),
        ("a: *nowhere", "is not YAML"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str, what: str) -> None:
    with pytest.raises(YamlProblem, match=what):
        read_yaml(text)
