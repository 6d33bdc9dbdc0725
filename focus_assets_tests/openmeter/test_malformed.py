"""More than two hundred answers that are not what the interface says: an error each that names the request."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from focus_assets.catalog.snapshot import FocusDefaults
from focus_assets.openmeter import OpenMeterError, asked_once, catalog_now
from focus_assets.openmeter.errors import MalformedResponse, UnsupportedCatalogEntry, ValueTooLarge
from focus_assets.openmeter.transport import Transport
from focus_assets_tests.openmeter.company import DAYS, Asked, catalog, from_server
from focus_assets_tests.openmeter_server import documents
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.documents import ulid
from focus_assets_tests.openmeter_server.running import SourceSettings, WithoutNetwork, no_pause

BODIES: list[bytes] = [
    b"",
    b" ",
    b"null",
    b"true",
    b"0",
    b"1e400",
    b'"data"',
    b"[]",
    b"[[]]",
    b"[1]",
    b"[null]",
    b"{",
    b"}",
    b"{}",
    b"{]",
    b'{"data"}',
    b'{"data":}',
    b'{"data":null}',
    b'{"data":1}',
    b'{"data":"x"}',
    b'{"data":{}}',
    b'{"data":[1]}',
    b'{"data":[null]}',
    b'{"data":[[]]}',
    b'{"data":[{}]}',
    b'{"data":[{}],"data":[{}]}',
    b'{"data":[]} trailing',
    b'{"data":[]}{"data":[]}',
    b"\xff\xfe{}",
    b"\x00",
    '{"data":[]}'.encode("utf-16"),
    b'{"data":[\xff]}',
    b"\xef\xbb\xbf{}",
    b'{"data":NaN}',
    b'{"data":[NaN]}',
    b'{"data":[Infinity]}',
    b'{"data":[-Infinity]}',
    b"<html><body>504</body></html>",
    b"from,to,value\n2026-08-01,2026-08-02,1.000000\n",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5_000,
    b'{"data":[' + b"9" * 5_000 + b"]}",
]
"""Bodies that are no answer to anything."""

_ROW_V3 = {
    "value": "1.5",
    "from": "2026-08-02T00:00:00Z",
    "to": "2026-08-02T01:00:00Z",
    "dimensions": {"subject": "ann", "model": "large", "kind": "in"},
}
_ROW_V1 = {
    "value": 1.5,
    "windowStart": "2026-08-02T00:00:00Z",
    "windowEnd": "2026-08-02T01:00:00Z",
    "subject": "ann",
    "groupBy": {"model": "large", "kind": "in"},
}
_INSTANTS = [
    None,
    0,
    1754006400,
    "",
    "yesterday",
    "2026-08-02",
    "2026-08-02T00:00:00",
    "2026-13-02T00:00:00Z",
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59-05:00",
    [],
]
_NUMBERS_V3 = [
    None,
    1,
    1.5,
    True,
    [],
    {},
    "",
    " 1",
    "1 ",
    "1e5",
    "NaN",
    "Infinity",
    "-",
    "1.",
    ".5",
    "0x1",
    "1,5",
    "١",
]
_NUMBERS_V1 = [None, True, "1.5", "", [], {}, "NaN"]
_OUTSIDE = [
    {"from": "2026-08-01T23:00:00Z", "to": "2026-08-02T00:00:00Z"},
    {"from": "2026-08-03T00:00:00Z", "to": "2026-08-03T01:00:00Z"},
    {"from": "2026-08-02T00:30:00Z", "to": "2026-08-02T01:30:00Z"},
    {"from": "2026-08-02T00:00:00Z", "to": "2026-08-03T00:00:00Z"},
    {"from": "2026-08-02T01:00:00Z", "to": "2026-08-02T00:00:00Z"},
    {"from": "2026-08-02T01:00:00Z", "to": "2026-08-02T01:00:00Z"},
]


def bad_rows_v3() -> Iterator[Any]:
    yield from (None, 1, "row", [], [[]], True)
    for key in _ROW_V3:
        yield {name: value for name, value in _ROW_V3.items() if name != key}
    for key in ("from", "to"):
        yield from ({**_ROW_V3, key: value} for value in _INSTANTS)
    yield from (
        {**_ROW_V3, "value": value}
        for value in [*_NUMBERS_V3, "1" * 30, "-" + "9" * 20, "9" * 19 + "." + "9" * 20]
    )
    for dimensions in (
        None,
        [],
        "x",
        1,
        {"subject": 1},
        {"subject": None},
        {},
        {"subject": "ann", "model": 5},
    ):
        yield {**_ROW_V3, "dimensions": dimensions}
    yield {**_ROW_V3, "dimensions": {"subject": "\ud800"}}
    yield from ({**_ROW_V3, **window} for window in _OUTSIDE)


def bad_rows_v1() -> Iterator[Any]:
    yield from (None, 1, "row", [], [[]], True)
    for key in ("value", "windowStart", "windowEnd", "subject"):
        yield {name: value for name, value in _ROW_V1.items() if name != key}
    for key in ("windowStart", "windowEnd"):
        yield from ({**_ROW_V1, key: value} for value in _INSTANTS)
    yield from ({**_ROW_V1, "value": value} for value in [*_NUMBERS_V1, 10**20, -(10**19)])
    for groups in ([], "x", 1, {"model": 5}, {"model": ["large"]}, {"model": {"a": 1}}):
        yield {**_ROW_V1, "groupBy": groups}
    yield from ({**_ROW_V1, "subject": subject} for subject in (1, [], {}, True, "\ud800"))
    for window in _OUTSIDE:
        yield {**_ROW_V1, "windowStart": window["from"], "windowEnd": window["to"]}


HALF_A_CHARACTER = b"\xed\xa0\x80"
"""Bytes that Python reads as one and that are no UTF-8."""

BYTES_OF_NO_TEXT = [
    (version, row.replace(at, b'"' + text + b'"'))
    for version, row, ats in (
        ("v3", json.dumps(_ROW_V3).encode(), [b'"ann"', b'"large"', b'"1.5"', b'"2026-08-02T00:00:00Z"']),
        ("v1", json.dumps(_ROW_V1).encode(), [b'"ann"', b'"large"', b"1.5", b'"2026-08-02T00:00:00Z"']),
    )
    for at in ats
    for text in (b"\xff", HALF_A_CHARACTER)
]


class Spoiled(httpx.AsyncBaseTransport):
    """The server, but for one path, where it always answers the same."""

    def __init__(self, company: Company, path_ends: str, body: bytes) -> None:
        self._server = WithoutNetwork(application(company))
        self._path_ends = path_ends
        self._body = body

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(self._path_ends):
            return httpx.Response(200, content=self._body, headers={"content-type": "application/json"})
        return await self._server.handle_async_request(request)


def day_of(company: Company, path_ends: str, body: bytes) -> None:
    known = catalog(plans=[], subscriptions=[], features=[], meters=catalog().meters[:1])
    from_server(
        Spoiled(company, path_ends, body).handle_async_request,  # type: ignore[arg-type]
        known,
        [DAYS[1]],
        Asked(SourceSettings()),
        transport=Spoiled(company, path_ends, body),
    )


def catalog_of(company: Company, path_ends: str, body: bytes) -> None:
    asked_once(
        SourceSettings(),
        lambda server: catalog_now(server, FocusDefaults(provider_name="Test"), {}),
        lambda settings: Transport(
            settings.url, environment={}, transport=Spoiled(company, path_ends, body), sleep=no_pause
        ),
    )


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("has_v3", [True, False])
def test_a_body_that_is_no_answer_fails_the_day(server_company: Company, body: bytes, has_v3: bool) -> None:
    with pytest.raises(OpenMeterError, match="/query") as error:
        day_of(dataclasses.replace(server_company, has_v3=has_v3), "/query", body)
    assert isinstance(error.value, MalformedResponse)


@pytest.mark.parametrize("row", list(bad_rows_v3()), ids=repr)
def test_a_row_of_v3_that_is_none_fails_the_day(server_company: Company, row: Any) -> None:
    with pytest.raises(OpenMeterError, match=r"meters/.*/query"):
        day_of(server_company, "/query", json.dumps({"data": [row]}).encode())


@pytest.mark.parametrize("row", list(bad_rows_v1()), ids=repr)
def test_a_row_of_v1_that_is_none_fails_the_day(server_company: Company, row: Any) -> None:
    with pytest.raises(OpenMeterError, match=r"meters/.*/query"):
        day_of(
            dataclasses.replace(server_company, has_v3=False), "/query", json.dumps({"data": [row]}).encode()
        )


@pytest.mark.parametrize(("version", "row"), BYTES_OF_NO_TEXT, ids=repr)
def test_bytes_that_are_no_text_fail_the_day(server_company: Company, version: str, row: bytes) -> None:
    of = dataclasses.replace(server_company, has_v3=version == "v3")
    with pytest.raises(MalformedResponse, match=r"meters/.*/query.*is no JSON \(UnicodeDecodeError"):
        day_of(of, "/query", b'{"data":[' + row + b"]}")


@pytest.mark.parametrize("value", [b"1e999999999", b"-1e400", b"9" * 4_000])
def test_a_number_that_nobody_can_store_fails_the_day(server_company: Company, value: bytes) -> None:
    of = dataclasses.replace(server_company, has_v3=False)
    with pytest.raises(ValueTooLarge, match=r"meters/.*/query.*values are below 10\^19"):
        day_of(of, "/query", b'{"data":[' + json.dumps(_ROW_V1).encode().replace(b"1.5", value) + b"]}")


@pytest.mark.parametrize("total", ["1e5000", "1e999999999", "1.0", "true", '"1"'])
def test_a_number_of_entries_that_is_none_fails_the_catalog(server_company: Company, total: str) -> None:
    body = f'{{"data": [], "meta": {{"page": {{"number": 1, "size": 100, "total": {total}}}}}}}'
    with pytest.raises(MalformedResponse, match=r"openmeter/customers: .* meta\.page\.total: "):
        catalog_of(server_company, "/v3/openmeter/customers", body.encode())


LISTS = [
    "/v3/openmeter/meters",
    "/v3/openmeter/customers",
    "/v3/openmeter/features",
    "/v3/openmeter/subscriptions",
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_no_list_fails_the_catalog(server_company: Company, path: str, body: bytes) -> None:
    with pytest.raises(OpenMeterError, match=path):
        catalog_of(server_company, path, body)


def test_a_missing_field_is_named_with_its_endpoint(server_company: Company) -> None:
    rows = [copy.deepcopy(_ROW_V3) for _ in range(3)]
    del rows[2]["value"]
    with pytest.raises(
        MalformedResponse, match=r"POST /api/v3/openmeter/meters/.*/query .*data\[2\]\.value: Field required"
    ):
        day_of(server_company, "/query", json.dumps({"data": rows}).encode())


def feature_of_v3(condition: Any) -> bytes:
    meter = {"id": ulid("meter", "tokens"), "filters": {"model": condition}}
    page = {"number": 1, "size": 100, "total": 1}
    return json.dumps(
        {"data": [{"id": "1", "key": "large", "meter": meter}], "meta": {"page": page}}
    ).encode()


@pytest.mark.parametrize(
    "condition", [{"in": 5}, {"in": [5]}, {"in": "large"}, {"eq": 5}, {"eq": ["large"]}, {}]
)
def test_a_filter_of_no_texts_names_the_feature(server_company: Company, condition: Any) -> None:
    with pytest.raises(
        UnsupportedCatalogEntry, match=r"feature 'large' filters 'model' by .*only eq with a text"
    ):
        catalog_of(server_company, "/v3/openmeter/features", feature_of_v3(condition))


@pytest.mark.parametrize("kind", [[], {}, 5, None])
def test_a_kind_of_price_that_is_none_names_the_item(
    monkeypatch: pytest.MonkeyPatch, server_company: Company, kind: Any
) -> None:
    real = documents.price_v1
    monkeypatch.setattr(documents, "price_v1", lambda card: {**real(card), "type": kind})
    plans = {"totalCount": 0, "page": 1, "pageSize": 1000, "items": []}
    with pytest.raises(UnsupportedCatalogEntry, match=r"subscription .* of customer 'ann', item"):
        catalog_of(server_company, "/v1/plans", json.dumps(plans).encode())
