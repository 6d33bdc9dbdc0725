"""Destinations on Google Cloud Storage and Azure, reached as a person sets them up: a URL, and the environment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from focus_assets.delivery import DeliveryResult, DeliveryRun, deliver_all, entries, verify
from focus_assets.delivery.probe import probe
from focus_assets.lake import ConditionFailed, Lake, StoreError, open_store
from focus_assets.settings import Destination
from focus_assets.settings.access import open_place
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import row, write_day

FIRST = dt.date(2026, 8, 1)


@pytest.fixture
def deliver(lake: Lake) -> Callable[[Destination, dt.datetime], str]:
    """Deliver August; what came of it."""

    def deliver(destination: Destination, now: dt.datetime) -> str:
        (result,) = deliver_all(lake, [destination], "2026-08", DeliveryRun(now, opener=open_place))
        assert isinstance(result, DeliveryResult), result
        return result.outcome

    return deliver


@pytest.mark.parametrize("layout", ["hive", "finops-hubs"])
def test_a_month_is_delivered_once_replaced_when_it_changes_and_verified(
    lake: Lake, bucket_elsewhere: str, deliver: Callable[[Destination, dt.datetime], str], layout: str
) -> None:
    destination = Destination.model_validate(
        {
            "name": "acme",
            "url": f"{bucket_elsewhere}/from/us",
            "customers": ["acme"],
            "layout": layout,
            "keep_hours": 0,
        }
    )
    assert deliver(destination, NOW) == "delivered"
    assert deliver(destination, NOW + dt.timedelta(hours=1)) == "unchanged"
    write_day(lake, FIRST, [row(FIRST, "acme", 50), row(FIRST, "globex", 7)])
    assert deliver(destination, NOW + dt.timedelta(hours=2)) == "delivered"

    (checked,) = verify(destination.url)
    assert checked.problems == ()
    assert checked.manifest is not None
    # 50 requests on the 1st, 2 and 4 on the 2nd and 4th, none on the 3rd.
    assert checked.manifest.totals.consumed_quantity == {"Requests": "56"}
    assert checked.manifest.totals.billed_cost == {"USD": "0.56"}
    assert entries(lake)["result"].to_list() == ["delivered", "delivered"]
    # What the first delivery left is gone, for nobody is given time to go on reading it.
    held = {info.path for info in open_place(destination).list()}
    named = {file.path for file in checked.manifest.files}
    assert {path for path in held if path.endswith(".parquet")} == named


def test_a_file_that_was_changed_there_is_found(
    bucket_elsewhere: str, deliver: Callable[[Destination, dt.datetime], str]
) -> None:
    destination = Destination(name="everyone", url=bucket_elsewhere)
    deliver(destination, NOW)
    store = open_place(destination)
    path = next(info.path for info in store.list() if info.path.endswith(".parquet"))
    store.put(path, store.get(path)[:-1])
    (checked,) = verify(bucket_elsewhere)
    assert path in str(checked.problems)


def test_it_does_all_that_a_delivery_needs(bucket_elsewhere: str) -> None:
    steps = list(probe(open_store(f"{bucket_elsewhere}/from/us")))
    assert [step for step in steps if not step.fine] == []
    assert {"create if absent", "replace if unchanged"} <= {step.what for step in steps}


def test_a_manifest_that_another_replaced_meanwhile_is_not_overwritten(bucket_elsewhere: str) -> None:
    store = open_store(bucket_elsewhere)
    seen = store.put("manifest.json", b"1")
    store.put("manifest.json", b"2", if_match=seen)
    with pytest.raises(ConditionFailed):
        store.put("manifest.json", b"3", if_match=seen)
    assert store.get("manifest.json") == b"2"


def test_a_bucket_that_does_not_exist_is_said_so_and_never_created(bucket_elsewhere: str) -> None:
    scheme = bucket_elsewhere.partition("://")[0]
    store = open_store(f"{scheme}://no-such-bucket-here/x")
    for attempt in (
        lambda: store.get_or_none("a"),
        lambda: store.head("a"),
        lambda: list(store.list()),
        lambda: store.put("a", b"-"),
    ):
        with pytest.raises(StoreError, match="bucket 'no-such-bucket-here' does not exist"):
            attempt()
