from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import yaml

from focus_assets.settings.file import json_schema

jsonschema = pytest.importorskip("jsonschema", reason="comes with the S3 test server")


def errors(data: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(json_schema()).iter_errors(data)]


def starter() -> dict[str, Any]:
    text = files("focus_assets.commands").joinpath("starter.yaml").read_text()
    found = yaml.safe_load(text)
    # JSON has no dates.
    found["start_date"] = found["start_date"].isoformat()
    for subscription in found["subscriptions"]:
        subscription["active_from"] = subscription["active_from"].isoformat()
    return dict(found)


def test_the_schema_is_valid_and_says_which_draft_it_is() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_starter_fits_the_schema() -> None:
    assert errors(starter()) == []


@pytest.mark.parametrize("key", ["start_date", "defaults"])
def test_a_document_without_a_required_key_does_not_fit(key: str) -> None:
    broken = starter()
    del broken[key]
    assert any(key in message for message in errors(broken))


def test_a_price_type_that_is_not_supported_does_not_fit() -> None:
    broken = starter()
    broken["plans"][0]["rate_cards"][0]["price"] = {"type": "package", "amount": 1}
    assert errors(broken)


def test_an_unknown_key_does_not_fit() -> None:
    assert any("metres" in message for message in errors({**starter(), "metres": []}))


def test_every_key_has_a_description() -> None:
    def undescribed(schema: Any, path: str) -> Iterator[str]:
        for name, inner in schema.get("properties", {}).items():
            if "description" not in inner and "$ref" not in inner:
                yield f"{path}.{name}"
        for name, inner in schema.get("$defs", {}).items():
            if "description" not in inner:
                yield name
            yield from undescribed(inner, name)

    assert list(undescribed(json_schema(), "focus.yaml")) == []
