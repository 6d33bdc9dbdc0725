"""Raw usage in, one vocabulary out: every row kept, each with its customer, unit and exact quantity."""

from __future__ import annotations

import json
import random
from decimal import Decimal

from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets_tests.usage.usage_rows import (
    DAY,
    normalized,
    quantities,
    to_date,
    usage_catalog,
    window,
)


def test_a_row_becomes_a_row_with_the_schema_of_the_dataset() -> None:
    found = normalized(window("a", 5), to_date("acme/pro/seats/20260301T000000Z", 3)).collect()
    assert dict(found.schema) == dict(NORMALIZED_USAGE.schema)
    assert found.select("meter", "kind", "customer", "unit", "quantity").rows() == [
        ("seats", "to_date", None, "Seats", Decimal(3)),
        ("tokens", "window", "acme", "Tokens", Decimal(5)),
    ]


def test_no_usage_is_no_rows_with_the_schema_of_the_dataset() -> None:
    found = normalized().collect()
    assert (found.height, dict(found.schema)) == (0, dict(NORMALIZED_USAGE.schema))


def test_a_customer_has_the_usage_of_its_key_and_of_its_subjects() -> None:
    found = normalized(window("a"), window("b"), window("acme"), window("c"))
    assert dict(found.select("subject", "customer").collect().iter_rows()) == {
        "a": "acme",
        "b": "acme",
        "acme": "acme",
        "c": None,
    }


def test_usage_of_an_unknown_subject_is_kept_without_a_customer() -> None:
    found = normalized(window("nobody", 7), window("nobody", 8, meter="seats"))
    assert quantities(found, "meter", "subject", "customer") == {
        ("tokens", "nobody", None): 7,
        ("seats", "nobody", None): 8,
    }


def test_a_subject_that_moves_belongs_to_the_customer_of_the_day() -> None:
    customers = [
        {"key": "acme", "subject_keys": ["a", "b"]},
        {"key": "acme", "subject_keys": ["a"], "valid_from": "2026-03-10"},
        {"key": "globex", "valid_from": "2026-01-01"},
        {"key": "globex", "subject_keys": ["b"], "valid_from": "2026-03-10"},
    ]
    catalog = usage_catalog(customers=customers)
    before, after = (catalog.on(DAY.replace(day=n)) for n in (9, 10))
    assert (before.customer_of_subject["b"], after.customer_of_subject["b"]) == ("acme", "globex")
    moved = normalized(window("a"), window("b"), catalog=catalog).select("subject", "customer").collect()
    assert dict(moved.iter_rows()) == {"a": "acme", "b": "globex"}


def test_a_quantity_is_rounded_half_away_from_zero_to_nine_places() -> None:
    cases = {
        "0.0000000005": "0.000000001",
        "0.0000000015": "0.000000002",
        "-0.0000000005": "-0.000000001",
        "0.00000000049999": "0",
        "123456789012.1234567891": "123456789012.123456789",
    }
    found = normalized(*(window(f"subject {n}", value) for n, value in enumerate(cases)))
    by_subject = quantities(found, "subject")
    assert [by_subject[f"subject {n}"] for n in range(len(cases))] == [Decimal(v) for v in cases.values()]


def test_empty_and_null_dimensions_are_absent_and_every_other_text_stays() -> None:
    texts = {"": None, "null": None, "NULL": "NULL", " ": " ", "0": "0", "größer": "größer", 'a"b': 'a"b'}
    rows = [
        window(f"subject {n}", dimensions={"model": text, "direction": "input"})
        for n, text in enumerate(texts)
    ]
    found = dict(normalized(*rows).select("subject", "dimensions").collect().iter_rows())
    for n, expected in enumerate(texts.values()):
        assert json.loads(found[f"subject {n}"]) == {"direction": "input", "model": expected}
    # Equal values have equal texts: FOCUS rows and filters compare the text.
    assert found["subject 0"] == found["subject 1"] == '{"direction":"input","model":null}'
    assert "größer" in found["subject 5"]


def test_rows_that_become_alike_stay_two_and_come_in_one_order() -> None:
    rows = [
        window(f"subject {n}", value, dimensions={"model": text})
        for n in range(40)
        for value, text in ((n + 1, "null"), (100 - n, ""))
    ]
    expected = normalized(*rows).collect()
    assert expected.height == 80
    for seed in range(5):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert normalized(*shuffled).collect().equals(expected)
