"""The UI in a browser, as a person uses it: the graph, an asset, a partition, its checks, and a backfill."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from focus_assets.delivery import entries
from focus_assets.lake import Lake
from focus_assets.orchestration.in_process import CHAIN
from focus_assets.orchestration.jobs import CHAIN_JOB, EXPORT_JOB
from focus_assets_tests.ui import running
from focus_assets_tests.ui.running import CHROMIUM, Ui, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists(), reason=f"no browser at {CHROMIUM}: Debian's package is chromium"
    ),
]

FOCUS = "focus_cost_and_usage"
AUGUST = [dt.date(2026, 8, number) for number in range(1, 9)]
BACKFILLED = AUGUST[2:7]
RESTATED = AUGUST[7]
OTHERS = AUGUST[:2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company, cut to eight days and three customers, run and delivered."""
    found = tmp_path_factory.mktemp("ui") / "data"
    running.demo(found, "--days", "8", "--customers", "3")
    return found


@pytest.fixture(scope="module")
def ui(data: Path) -> Iterator[Ui]:
    """The UI on it, with its daemon."""
    with running.ui(data) as started:
        yield started


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of the browser."""
    pytest.importorskip("playwright", reason="no playwright: it is in the extra dev")
    from focus_assets_tests.ui.pages import browser_page

    # Wide enough for the whole graph: the UI draws only what can be seen.
    with browser_page(viewport={"width": 2400, "height": 2400}) as opened:
        yield opened


def test_the_graph_shows_every_asset_in_its_group(ui: Ui, page: Page) -> None:
    from focus_assets_tests.ui.pages import open_graph

    open_graph(page, ui.url)

    shown = page.content()
    for name in (*CHAIN, "finance", "cust-01"):
        # Long names are shortened in the middle, to fit their box.
        assert name in shown or f"{name[:7]}…{name[-10:]}" in shown
    for group in ("catalog", "usage", "focus", "deliveries"):
        assert page.get_by_text(group, exact=True).first.is_visible()
    assert "Missing" not in page.inner_text("body")


def test_an_asset_says_what_it_is_and_where_its_columns_come_from(ui: Ui, page: Page) -> None:
    from focus_assets_tests.ui.pages import open_asset

    open_asset(page, ui.url, FOCUS)
    page.get_by_text("BillingAccountId", exact=True).first.wait_for()
    page.get_by_text("Updated").first.wait_for()

    shown = page.inner_text("body")
    assert "what each customer used that day and what it costs, exactly" in shown
    assert "One row: charge × price component × dimensions × day." in shown
    # A definition from the column registry, with its level, its type and the columns it is computed from.
    assert "Mandatory 1.0 to 1.4" in shown
    assert "Decimal(38, 18)" in shown
    assert "From normalized_usage.quantity, usage_totals.quantity, usage_totals.quantity_to_date" in shown
    for said in ("finops", "Polars", "Parquet", CHAIN_JOB):
        assert said in shown


def test_numbers_plot_by_partition(ui: Ui, page: Page) -> None:
    from focus_assets_tests.ui.pages import open_asset, until

    open_asset(page, ui.url, FOCUS)
    page.get_by_role("button", name="Plots").click()
    page.get_by_text("billed_cost_usd", exact=True).wait_for()

    until(page, lambda: page.locator("canvas").count() >= 3, "three plots")
    for figure in ("billed_cost_usd", "bytes", "dagster/partition_row_count"):
        assert page.get_by_text(figure, exact=True).first.is_visible()


def test_a_partition_shows_its_cost_its_largest_charges_and_a_chart(ui: Ui, page: Page, data: Path) -> None:
    from focus_assets_tests.ui.pages import image_size, open_asset, show_markdown

    open_asset(page, ui.url, FOCUS, "partitions", partition=f"{AUGUST[-1]:%F}")
    page.get_by_text("cost_by_service_usd", exact=True).wait_for()

    record = Lake.open(str(data / "lake")).record(FOCUS, AUGUST[-1])
    assert record is not None
    shown = page.inner_text("body")
    assert record.sha256 in shown
    assert "Language Models" in shown
    dialog = show_markdown(page, "preview")
    assert f"The 10 largest of {record.rows} charges, by billed cost." in dialog.inner_text()
    assert "Customer 01" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    show_markdown(page, "cost_chart_usd")
    assert image_size(page, "Billed cost by day and service") == (1000, 460)
    page.keyboard.press("Escape")


def test_checks_say_what_they_hold_and_how_it_went(ui: Ui, page: Page) -> None:
    from focus_assets_tests.ui.pages import open_asset

    open_asset(page, ui.url, FOCUS, "checks", checkDetail="required_dimensions")
    page.get_by_text("Every column that FOCUS 1.2 requires").wait_for()
    page.get_by_text("days_checked").first.wait_for()

    shown = page.inner_text("body")
    listed = page.inner_text("body").split("Execute all", 1)[1]
    for check in (
        "consumed_quantities",
        "focus_conformance",
        "focus_recommendations",
        "price_times_quantity_is_cost",
        "required_dimensions",
        "unit_prices_not_negative",
    ):
        assert f"{check}\nSucceeded" in listed
    assert "2026-08-01 to 2026-08-08" in shown
    assert "Skipped" not in shown


def test_a_warning_names_its_rows_and_days(ui: Ui, page: Page) -> None:
    from focus_assets_tests.ui.pages import open_asset, show_markdown

    open_asset(page, ui.url, "unbilled_usage", "checks", checkDetail="usage_has_a_charge")
    page.get_by_text("first_rows", exact=True).wait_for()

    assert "non-blocking" in page.inner_text("body")
    assert "2026-08-01, 2026-08-02" in page.inner_text("body")
    assert "reason" in show_markdown(page, "first_rows").inner_text()


def test_a_backfill_writes_its_days_and_no_others_and_what_was_restated_is_delivered_again(
    ui: Ui, page: Page, data: Path
) -> None:
    from focus_assets_tests.ui.pages import launch_backfill

    lake = Lake.open(str(data / "lake"))
    _restate(data)
    before = _files(data / "lake")
    newest = ui.ask("{ assetNodes { assetMaterializations(limit: 100) { runId } } }")
    known = {m["runId"] for node in newest["assetNodes"] for m in node["assetMaterializations"]}
    delivered = of_charges(lake).height

    sent = launch_backfill(page, ui.url, CHAIN_JOB, f"{BACKFILLED[0]:%F}", f"{BACKFILLED[-1]:%F}")
    # The restated day looks back on the keys of the others, so these have to be first.
    wait_until(
        lambda: any(run["startTime"] for run in ui.backfill(sent["id"])["runs"]),
        120,
        "the backfill's run to start",
    )
    # A second one right behind it: a lake has one writer, so its run has to queue.
    second = ui.ask(
        "mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {"
        " ... on LaunchBackfillSuccess { backfillId } } }",
        p={"assetSelection": [{"path": [name]} for name in CHAIN], "partitionNames": [f"{RESTATED:%F}"]},
    )["launchPartitionBackfill"]["backfillId"]

    assert sorted(sent["partitionNames"]) == [f"{day:%F}" for day in BACKFILLED]
    assert {tuple(key["path"]) for key in sent["assetSelection"]} == {(name,) for name in CHAIN}
    runs = []
    for backfill in (sent["id"], second):
        ended = wait_until(lambda id=backfill: _ended(ui, id), 300, f"backfill {backfill} to end")  # type: ignore[misc]
        assert ended["status"] == "COMPLETED_SUCCESS", ended
        assert [run["status"] for run in ended["runs"]] == ["SUCCESS"]
        runs += ended["runs"]
    first_run, second_run = sorted(runs, key=lambda run: run["startTime"])
    assert first_run["endTime"] <= second_run["startTime"]

    written = {*BACKFILLED, RESTATED}
    for name in CHAIN:
        assert _materialized(ui, name, known) == sorted(f"{day:%F}" for day in written)
    changed = {path for path, when in _files(data / "lake").items() if before.get(path) != when}
    assert changed
    assert {path.split("charge_date=")[1][:10] for path in changed if "charge_date=" in path} <= {
        f"{day:%F}" for day in written
    }
    for day in OTHERS:
        assert not any(f"{day:%F}" in path for path in changed)
    # Five days have one more row each, of nobody; the restated one another cost.
    unbilled = [path for path in changed if "/unbilled_usage/" in f"/{path}" and path.endswith(".parquet")]
    assert len(unbilled) == len(BACKFILLED)
    assert _path(FOCUS, RESTATED) in changed
    assert not any(_path(FOCUS, day) in changed for day in BACKFILLED)

    wait_until(lambda: of_charges(lake).height >= delivered + 5, 240, "the sensor to deliver August again")
    wait_until(
        lambda: (
            ui.ticks("focus_export_sensor")[0]["skipReason"] == "Every destination has what the lake holds."
        ),
        120,
        "the sensor to have nothing to ask for",
    )
    again = of_charges(lake).sort("sequence").tail(5)
    results = dict(again.select("destination", "result").iter_rows())
    # The late event is customer 01's: customer 02 has what it had.
    assert results.pop("cust-02") == "unchanged"
    assert results == dict.fromkeys(("cust-01", "finance", "hub", "warehouse"), "delivered")
    assert of_charges(lake).height == delivered + 5
    asked = [tick for tick in ui.ticks("focus_export_sensor") if tick["runIds"]]
    assert len(asked) == 1
    delivery = ui.ask(
        "query ($id: ID!) { runOrError(runId: $id) { ... on Run { jobName } } }", id=asked[0]["runIds"][0]
    )
    assert delivery["runOrError"]["jobName"] == EXPORT_JOB
    assert "Traceback" not in ui.log.read_text()


def of_charges(lake: Lake) -> pl.DataFrame:
    """The ledger of Cost and Usage: a customer gets other datasets too."""
    return entries(lake).filter(pl.col("dataset") == FOCUS)


def _restate(data: Path) -> None:
    """Late events: of a subject that belongs to nobody on the days backfilled, of a customer on the last day."""
    sample = next(
        event
        for path in sorted((data / "events").rglob("*.gz"))
        for event in map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        if event["type"] == "model.usage" and event["subject"].startswith("cust-01")
    )
    late: list[dict[str, Any]] = [
        {**sample, "id": f"late-{day}", "subject": "nobody", "time": f"{day}T12:00:00Z"} for day in BACKFILLED
    ]
    late.append({**sample, "id": "late-customer", "time": f"{RESTATED}T12:00:00Z"})
    (data / "events" / "late.ndjson").write_text("".join(f"{json.dumps(event)}\n" for event in late))


def _ended(ui: Ui, id: str) -> dict[str, Any] | None:
    found = ui.backfill(id)
    return found if found["status"].startswith(("COMPLETED", "FAILED", "CANCELED")) else None


def _files(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def _path(dataset: str, day: dt.date) -> str:
    return f"{dataset}/charge_date={day:%F}/part-0.parquet"


def _materialized(ui: Ui, asset: str, known: set[str]) -> list[str]:
    """The partitions of an asset that other runs than the known ones materialized."""
    found = ui.ask(
        "query ($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {"
        " assetMaterializations(limit: 100) { partition runId } } } }",
        k={"path": [asset]},
    )["assetOrError"]["assetMaterializations"]
    return sorted(m["partition"] for m in found if m["runId"] not in known)
