"""What a catalog makes of answers that the test server does not give: what is gone, archived, or odd by a fraction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from focus_assets.catalog.snapshot import Catalog, FocusDefaults
from focus_assets.openmeter import asked_once, catalog_now
from focus_assets.openmeter.transport import Transport
from focus_assets_tests.openmeter.company import catalog
from focus_assets_tests.openmeter.test_catalog import NoMetering
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.documents import ulid
from focus_assets_tests.openmeter_server.running import SourceSettings, WithoutNetwork, no_pause

Edit = Callable[[list[Any]], list[Any]]
GONE = "2026-08-01T12:00:00Z"


class Edited(httpx.AsyncBaseTransport):
    """The server, but for one list, whose entries come edited; a single document is a list of one."""

    def __init__(self, company: Company, path: str, edit: Edit) -> None:
        self._server, self._path, self._edit = WithoutNetwork(application(company)), path, edit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._server.handle_async_request(request)
        if self._path not in request.url.path + "?" + request.url.query.decode():
            return answer
        document = json.loads(await answer.aread())
        if isinstance(document, list):
            return httpx.Response(200, json=self._edit(document))
        key = next((key for key in ("items", "data") if key in document), "")
        if not key:
            return httpx.Response(200, json=self._edit([document])[0])
        document[key] = found = self._edit(document[key])
        if key == "items":
            document["totalCount"] = len(found)
        else:
            document["meta"]["page"]["total"] = len(found)
        return httpx.Response(200, json=document)


def read(path: str, edit: Edit, *, has_v3: bool) -> Catalog:
    transport = Edited(Company(catalog(), NoMetering(), has_v3=has_v3), path, edit)
    return asked_once(
        SourceSettings(),
        lambda server: catalog_now(server, FocusDefaults(provider_name="Test"), {}),
        lambda settings: Transport(settings.url, environment={}, transport=transport, sleep=no_pause),
    )


@pytest.mark.parametrize("has_v3", [True, False])
@pytest.mark.parametrize("kind", ["meters", "customers"])
def test_what_is_deleted_is_not_in_the_catalog(kind: str, has_v3: bool) -> None:
    path, name, deleted = ("/openmeter/", "key", "deleted_at") if has_v3 else ("/v1/", "slug", "deletedAt")
    name = name if kind == "meters" else "key"

    def with_one_that_is_gone(found: list[Any]) -> list[Any]:
        return [*found, {**found[0], "id": ulid("gone", kind), name: "gone", deleted: GONE}]

    found = read(f"{path}{kind}?", with_one_that_is_gone, has_v3=has_v3)
    assert set(found.meter) == set(catalog().meter)
    assert set(found.customer) == {"ann", "bob", "cy"}


def test_a_feature_that_is_archived_is_sold_where_no_other_has_its_key() -> None:
    given: list[Any] = []

    def archived(found: list[Any]) -> list[Any]:
        given[:] = [{**feature, "archivedAt": GONE} for feature in found]
        return given

    found = read("/v1/features?includeArchived=true", archived, has_v3=False)
    assert given, "archived features have to be asked for"
    assert found.feature["requests"].meter == "requests"


@pytest.mark.parametrize("first", [True, False])
def test_of_several_features_with_one_key_the_one_that_is_not_archived_counts(first: bool) -> None:
    def with_an_older_one(found: list[Any]) -> list[Any]:
        (requests,) = [feature for feature in found if feature["key"] == "requests"]
        older = {**requests, "id": ulid("feature", "older"), "meterSlug": "tokens", "archivedAt": GONE}
        return [older, *found] if first else [*found, older]

    found = read("/v1/features?includeArchived=true", with_an_older_one, has_v3=False)
    assert found.feature["requests"].meter == "requests"


@pytest.mark.parametrize("has_v3", [True, False])
def test_a_meter_counts_from_the_second_that_the_server_counts_from(has_v3: bool) -> None:
    path, key = ("/openmeter/meters?", "events_from") if has_v3 else ("/v1/meters?", "eventFrom")

    def from_a_fraction(found: list[Any]) -> list[Any]:
        return [{**meter, key: "2026-08-02T10:00:00.75Z"} for meter in found]

    found = read(path, from_a_fraction, has_v3=has_v3)
    assert found.meter["tokens"].event_from == dt.datetime(2026, 8, 2, 10, tzinfo=dt.UTC)


def test_bounds_of_subscriptions_are_cut_to_the_second_as_the_server_cuts_them() -> None:
    def by_fractions(found: list[Any]) -> list[Any]:
        text = json.dumps(found).replace("2026-08-02T13:22:07Z", "2026-08-02T13:22:07.999Z")
        return json.loads(text.replace("2026-08-04T09:30:00Z", "2026-08-04T09:30:00.001Z"))  # type: ignore[no-any-return]

    found = read("/v1/subscriptions/", by_fractions, has_v3=True)
    (bob,) = [each for each in found.subscriptions if each.customer == "bob"]
    begins, ends = (
        dt.datetime(2026, 8, 2, 13, 22, 7, tzinfo=dt.UTC),
        dt.datetime(2026, 8, 4, 9, 30, tzinfo=dt.UTC),
    )
    assert (bob.active_from, bob.active_to, bob.anchor) == (begins, ends, begins)
    assert {(card.valid_from, card.valid_to) for card in bob.rate_cards} == {(begins, ends)}
