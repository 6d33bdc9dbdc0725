"""One delivery: complete, reproducible, and only what its destination may see."""

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryRefused,
    DeliveryResult,
    DeliveryRun,
    DestinationError,
    billing_months,
    deliver,
    deliver_all,
    due,
    entries,
    verify,
)
from focus_assets.delivery.files import rows_in_scope
from focus_assets.delivery.ledger import days_delivered
from focus_assets.delivery.manifest import Scope
from focus_assets.focus.schema import version_schema
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, frame, row, write_day

AUGUST = "2026-08"


def delivered_rows(destination: Destination, result: DeliveryResult) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(Path(destination.url) / file.path) for file in result.manifest.files)


def contents(folder: Path) -> dict[str, bytes]:
    files = (f for f in sorted(folder.rglob("*")) if f.is_file() and not f.name.startswith("."))
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def test_a_delivery_holds_every_row_of_the_month_in_the_version_asked_for(lake, destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    rows = delivered_rows(destination, result)
    assert result.outcome == "delivered"
    assert rows.schema == version_schema("1.2")
    assert rows.height == 6
    assert rows["BilledCost"].sum() == Decimal("0.28")
    assert all(not check.problems for check in verify(destination.url))


def test_the_manifest_says_what_was_delivered_in_exact_texts(lake, destination):
    manifest = deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest

    assert manifest.totals.rows == 6
    assert manifest.totals.billed_cost == {"USD": "0.28"}
    assert manifest.totals.effective_cost == {"USD": "0.28"}
    assert manifest.totals.consumed_quantity == {"Requests": "28"}
    assert [(f"{day.day}", day.rows) for day in manifest.days] == [
        ("2026-08-01", 2),
        ("2026-08-02", 2),
        ("2026-08-03", 0),
        ("2026-08-04", 2),
    ]
    assert manifest.generated_at == NOW
    assert manifest.scope.customers == "all"
    assert [column.name for column in manifest.columns] == version_schema("1.2").names()
    assert next(c.type for c in manifest.columns if c.name == "BilledCost") == "decimal(38, 18)"


def test_files_lie_in_the_billing_period_s_folder_named_by_day_and_digest(lake, destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    names = sorted(contents(Path(destination.url)))
    assert names == sorted(
        [
            f"billing_period={AUGUST}/manifest.json",
            *(f.path for f in result.manifest.files),
            result.manifest.focus_metadata.path,
            result.manifest.focus_schema.path,
        ]
    )
    first = result.manifest.files[0]
    assert first.path == f"billing_period={AUGUST}/2026-08-01-{first.sha256[:32]}.parquet"


def test_a_day_without_usage_is_delivered_as_complete_and_empty(lake, destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    third = next(file for file in result.manifest.files if file.charge_date == dt.date(2026, 8, 3))
    empty = pl.read_parquet(Path(destination.url) / third.path)
    assert (third.rows, empty.height) == (0, 0)
    assert empty.schema == version_schema("1.2")


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_each_destination_gets_the_version_it_asks_for(lake, destination, version):
    asked = destination.model_copy(update={"focus_version": version})

    result = deliver(lake, asked, AUGUST, DeliveryRun(NOW))

    assert delivered_rows(asked, result).schema == version_schema(version)
    assert result.manifest.focus_version == version


def test_a_customer_s_destination_never_holds_another_s_rows(lake, destination):
    hers = destination.model_copy(update={"customers": ("acme",)})

    result = deliver(lake, hers, AUGUST, DeliveryRun(NOW))

    rows = delivered_rows(hers, result)
    assert rows["x_CustomerKey"].unique().to_list() == ["acme"]
    assert rows.height == 3
    assert result.manifest.scope.customers == ("acme",)


def test_a_row_without_customer_is_in_nobody_s_scope():
    day = dt.date(2026, 8, 5)
    rows = frame([row(day, "acme", x_CustomerKey=None), row(day, "acme")])

    assert rows_in_scope(rows, AUGUST, Scope(customers=("acme", "globex"))).collect().height == 1
    assert rows_in_scope(rows, AUGUST, Scope(customers="all")).collect().height == 2


def test_rows_of_a_period_begun_mid_month_follow_their_period_not_their_day(lake, destination):
    september, mid_august = dt.date(2026, 9, 1), at(dt.date(2026, 8, 15))
    for day in [dt.date(2026, 8, d) for d in range(5, 32)]:
        write_day(lake, day, [])
    write_day(lake, september, [row(september, quantity=3, BillingPeriodStart=mid_august), row(september)])

    august = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    own = deliver(lake, destination, "2026-09", DeliveryRun(NOW))

    assert august.manifest.days[-1].day == september
    assert august.manifest.totals.rows == 7
    assert (own.manifest.totals.rows, own.manifest.totals.billed_cost) == (1, {"USD": "0.1"})


def test_the_same_lake_at_the_same_instant_gives_the_same_bytes(lake, destination, tmp_path):
    other = destination.model_copy(update={"url": str(tmp_path / "other")})

    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    deliver(lake, other, AUGUST, DeliveryRun(NOW))

    assert contents(Path(destination.url)) == contents(Path(other.url))


def test_delivering_again_writes_nothing(lake, destination, tmp_path):
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    before, ledger = contents(Path(destination.url)), contents(tmp_path / "lake" / "_ledger")

    again = deliver(lake, destination, AUGUST, DeliveryRun(NOW + dt.timedelta(hours=1)))

    assert (again.outcome, again.files_written) == ("unchanged", 0)
    assert contents(Path(destination.url)) == before
    assert contents(tmp_path / "lake" / "_ledger") == ledger


def test_a_restated_day_replaces_the_manifest_and_names_what_it_supersedes(lake, destination):
    first = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    write_day(lake, dt.date(2026, 8, 2), [row(dt.date(2026, 8, 2), quantity=99)])

    second = deliver(lake, destination, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))

    assert (second.outcome, second.files_written) == ("delivered", 1)
    assert second.manifest.supersedes == first.manifest.content_digest
    assert {f.path for f in first.manifest.files} <= set(contents(Path(destination.url)))
    assert verify(destination.url)[0].problems == ()


def test_a_change_outside_the_destination_s_scope_is_entered_but_not_delivered(lake, destination):
    hers = destination.model_copy(update={"customers": ("acme",)})
    deliver(lake, hers, AUGUST, DeliveryRun(NOW))
    day = dt.date(2026, 8, 1)
    write_day(lake, day, [row(day, "acme", 1), row(day, "globex", 8)])

    again = deliver(lake, hers, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))

    assert again.outcome == "unchanged"
    assert entries(lake)["result"].to_list() == ["delivered", "unchanged"]
    assert entries(lake)["manifest_sha256"].n_unique() == 1


def test_a_file_that_vanished_from_the_destination_is_put_back(lake, destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    (Path(destination.url) / result.manifest.files[1].path).unlink()

    again = deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    assert (again.outcome, again.files_written) == ("restored", 1)
    assert verify(destination.url)[0].problems == ()


def test_a_manifest_that_somebody_edited_is_replaced_and_never_entered(lake, destination):
    there = Path(destination.url) / deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest_url
    there.write_text(there.read_text().replace('"USD":"0.28"', '"USD":"0.29"'))

    again = deliver(lake, destination, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))

    assert again.outcome == "delivered"
    assert verify(destination.url)[0].problems == ()
    assert entries(lake)["delivered_at"].to_list() == [NOW, NOW + dt.timedelta(days=1)]


def test_the_ledger_tells_every_delivery_by_destination_and_month(lake, destination, tmp_path):
    hers = Destination(name="acme", url=str(tmp_path / "acme"), customers=("acme",), focus_version="1.0")
    deliver_all(lake, [destination, hers], AUGUST, DeliveryRun(NOW))

    ledger = entries(lake)

    assert ledger["destination"].to_list() == ["acme", "warehouse"]
    assert ledger["rows"].to_list() == [3, 6]
    assert ledger["focus_version"].to_list() == ["1.0", "1.2"]
    assert json.loads(ledger["billed_cost"][0]) == {"USD": "0.07"}
    assert ledger["delivered_at"].to_list() == [NOW, NOW]
    assert ledger["manifest_url"][0] == f"{tmp_path}/acme/billing_period={AUGUST}/manifest.json"


def test_the_ledger_can_be_made_again_from_the_manifests(lake, destination, tmp_path):
    from focus_assets.delivery import ledger

    deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    def said() -> dict[str, bytes]:
        return {
            path: data for path, data in contents(tmp_path / "lake").items() if path.endswith("000001.json")
        }

    before = said()
    assert before
    for file in (tmp_path / "lake" / "_ledger").rglob("*.json"):
        file.unlink()

    ledger.rebuild(lake, Lake.open(destination.url).store)

    assert said() == before


def test_one_destination_that_fails_does_not_stop_the_others(lake, destination, tmp_path):
    (tmp_path / "file").write_text("in the way")
    blocked = Destination(name="blocked", url=str(tmp_path / "file"))

    failed, good = deliver_all(lake, [blocked, destination], AUGUST, DeliveryRun(NOW))

    assert isinstance(failed, DeliveryFailure)
    assert isinstance(failed.error, DestinationError)
    assert "destination blocked" in str(failed.error)
    assert blocked.url in str(failed.error)
    assert isinstance(good, DeliveryResult)
    assert good.outcome == "delivered"


def test_a_month_the_lake_does_not_hold_is_refused(lake, destination):
    with pytest.raises(DeliveryRefused, match=r"2026-07 .*no day of it.*--from 2026-07-01"):
        deliver(lake, destination, "2026-07", DeliveryRun(NOW))


def test_something_else_in_the_manifest_s_place_is_not_overwritten(lake, destination):
    there = Path(destination.url) / f"billing_period={AUGUST}" / "manifest.json"
    there.parent.mkdir(parents=True)
    there.write_text('{"blobs": []}')

    with pytest.raises(DestinationError, match="is no manifest"):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    assert there.read_text() == '{"blobs": []}'
    assert len(contents(Path(destination.url))) == 1


def test_two_destinations_cannot_take_turns_at_one_manifest(lake, destination):
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    before = contents(Path(destination.url))

    with pytest.raises(DestinationError, match="is the manifest of destination warehouse"):
        deliver(lake, destination.model_copy(update={"name": "other"}), AUGUST, DeliveryRun(NOW))

    assert contents(Path(destination.url)) == before


def moved_to_august(lake: Lake) -> Iterator[None]:
    """First all rows are of a billing month that the calendar does not hold; then they are of August."""
    lake_days = days("2026-08-01", "2026-08-04")
    for start in (dt.date(2026, 7, 29), dt.date(2026, 8, 1)):
        for day in lake_days:
            write_day(lake, day, [row(day, BillingPeriodStart=at(start))])
        if start.month == 7:
            yield


@pytest.mark.parametrize("layout", ["hive", "aws", "finops-hubs"])
@pytest.mark.parametrize("mode", ["overwrite", "new_version"])
def test_a_month_that_has_lost_its_rows_is_replaced_by_an_empty_one(lake, destination, layout, mode):
    if (layout, mode) == ("finops-hubs", "new_version"):
        pytest.skip("a hub replaces whole folders")
    destination = destination.model_copy(update={"layout": layout, "mode": mode})
    moving = moved_to_august(lake)
    next(moving)
    before = deliver(lake, destination, "2026-07", DeliveryRun(NOW)).manifest
    assert before.totals.rows == 4
    assert list(moving) == []
    assert "2026-07" not in billing_months(lake)

    months = billing_months(lake, delivered=days_delivered(lake))
    assert [
        (each.month, each.destinations) for each in due(months, [destination], entries(lake), months)
    ] == [
        ("2026-07", ["warehouse"]),
        ("2026-08", ["warehouse"]),
    ]
    result = deliver(lake, destination, "2026-07", DeliveryRun(NOW))

    assert result.outcome == "delivered"
    assert result.manifest.totals.rows == 0
    assert result.manifest.columns == before.columns
    assert result.manifest.supersedes == before.content_digest
    assert [day.day for day in result.manifest.days] == days("2026-08-01", "2026-08-04")
    assert delivered_rows(destination, result).schema == version_schema("1.2")
    assert all(not check.problems for check in verify(destination.url))
    # Once it is empty there, it stays so and nobody asks for it again.
    months = billing_months(lake, delivered=days_delivered(lake))
    assert "2026-07" not in [each.month for each in due(months, [destination], entries(lake), months)]
    assert deliver(lake, destination, "2026-07", DeliveryRun(NOW)).outcome == "unchanged"


def test_days_that_were_delivered_with_a_month_and_are_gone_from_the_lake_are_asked_for(lake, destination):
    next(moved_to_august(lake))
    deliver(lake, destination, "2026-07", DeliveryRun(NOW))
    for number in (1, 2, 4):
        day = dt.date(2026, 8, number)
        write_day(lake, day, [row(day)])
    lake.store.delete("focus_cost_and_usage/charge_date=2026-08-03/part-0.parquet")

    with pytest.raises(DeliveryRefused, match="2026-08-03"):
        deliver(lake, destination, "2026-07", DeliveryRun(NOW))


def test_a_month_that_was_never_delivered_and_has_no_day_is_refused(lake, destination):
    with pytest.raises(DeliveryRefused, match="the lake holds no day of it"):
        deliver(lake, destination, "2026-06", DeliveryRun(NOW))
