"""What is newest in the ledger is remembered: what that costs, and that it is never older than the ledger."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import ledger, newest
from focus_assets.delivery.ledger import LedgerEntry, append, entries, latest_deliveries, remembering
from focus_assets.delivery.manifest import ControlTotals
from focus_assets.lake import Lake
from focus_assets_tests.delivery.conftest import NOW

DESTINATIONS, MONTHS, VERSIONS = 20, 12, 3


class Counting:
    """A store that counts what it is asked for."""

    def __init__(self, store: Any) -> None:
        self._store, self.asked = store, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def counted(*arguments: Any, **options: Any) -> Any:
            self.asked[name] += 1
            return found(*arguments, **options)

        return counted


def entry(destination: str, month: str, sequence: int, dataset: str = "focus_cost_and_usage") -> LedgerEntry:
    return LedgerEntry(
        destination=destination,
        billing_month=month,
        dataset=dataset,
        sequence=sequence,
        result="delivered",
        focus_version="1.2",
        content_digest=f"content {sequence}",
        supersedes=None,
        source_digest=f"source {sequence}",
        terms_digest="terms",
        totals=ControlTotals(
            rows=1, billed_cost={"EUR": "1.5"}, effective_cost={"EUR": "1.5"}, consumed_quantity={}
        ),
        files=1,
        bytes=1,
        first_day=dt.date.fromisoformat(f"{month}-01"),
        last_day=dt.date.fromisoformat(f"{month}-0{sequence}"),
        delivered_at=NOW,
        manifest_url=f"file:///{destination}/{month}",
        manifest_sha256=f"{destination} {month} {sequence}",
    )


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"))


@pytest.fixture
def full(empty: Lake) -> Lake:
    """A lake of many deliveries of which the newest are remembered; what is asked of its store is counted."""
    with remembering(empty):
        for destination in range(DESTINATIONS):
            for month in range(1, MONTHS + 1):
                for sequence in range(1, VERSIONS + 1):
                    append(empty, entry(f"d{destination}", f"2026-{month:02d}", sequence))
    empty.store = Counting(empty.store)  # type: ignore[assignment]
    return empty


def asked(lake: Lake) -> Counter[str]:
    assert isinstance(lake.store, Counting)
    return lake.store.asked


def by_listing(lake: Lake) -> list[dict[str, Any]]:
    """The newest entries, told from all of them."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in entries(lake).iter_rows(named=True):
        found[each["destination"], each["billing_month"], each["dataset"]] = each
    return list(found.values())


def test_asking_for_what_is_newest_reads_one_object_and_lists_nothing(full: Lake) -> None:
    found = latest_deliveries(full)
    assert found.height == DESTINATIONS * MONTHS
    assert set(found["sequence"]) == {VERSIONS}
    assert ledger.days_delivered(full, "2026-03") == {"2026-03": (dt.date(2026, 3, 1), dt.date(2026, 3, 3))}
    assert len(ledger.days_delivered(full)) == MONTHS
    assert asked(full) == {"get_or_none": 3}
    assert found.to_dicts() == by_listing(full)


def test_a_run_lists_the_ledger_once_and_reads_what_it_appended(full: Lake) -> None:
    with remembering(full):
        append(full, entry("d3", "2026-05", VERSIONS + 1))
        append(full, entry("d4", "2026-05", 1, "focus_billing_period"))
    assert asked(full) == {"get_or_none": 1, "delete": 2, "put": 3, "exists": 1, "list": 1, "get": 2}
    found = latest_deliveries(full)
    assert found.height == DESTINATIONS * MONTHS + 1
    assert found.to_dicts() == by_listing(full)


def test_a_run_that_appends_nothing_lists_nothing(full: Lake) -> None:
    with remembering(full):
        pass
    assert asked(full) == {"get_or_none": 1, "exists": 1}


def test_what_is_appended_is_newest_at_once_also_where_the_run_is_killed_before_its_end(full: Lake) -> None:
    def killed() -> None:
        with remembering(full):
            append(full, entry("d3", "2026-05", VERSIONS + 1))
            assert latest_deliveries(full).to_dicts() == by_listing(full)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert latest_deliveries(full).to_dicts() == by_listing(full)
    with remembering(full):
        pass
    assert full.store.exists(newest.PATH)
    assert latest_deliveries(full).to_dicts() == by_listing(full)


def test_what_is_remembered_is_gone_before_an_entry_is_there(
    full: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two leaves a ledger that is listed; the other way round one entry would be missed."""

    def killed(path: str, *_: Any, **__: Any) -> None:
        assert not full.store.exists(newest.PATH)
        raise KeyboardInterrupt(path)

    monkeypatch.setattr(full.store, "put", killed, raising=False)
    with pytest.raises(KeyboardInterrupt, match="_ledger/d3/2026-05/000004"):
        append(full, entry("d3", "2026-05", VERSIONS + 1))


@pytest.mark.parametrize("when", ["before", "while"])
def test_another_thread_that_appends_meanwhile_leaves_nothing_old(
    empty: Lake, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Its entry comes after the ledger was listed: what was listed is not remembered."""
    does = newest.remember

    def late(*arguments: Any) -> None:
        if when == "before":
            append(empty, entry("other", "2026-05", 1))
            does(*arguments)
        else:
            with newest.forgotten(empty.store):
                does(arguments[0], arguments[1], newest.appends(empty.store))

    monkeypatch.setattr(newest, "remember", late)
    with remembering(empty):
        append(empty, entry("one", "2026-05", 1))
    assert not empty.store.exists(newest.PATH)
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)


def test_a_ledger_that_was_lost_takes_what_is_remembered_with_it(full: Lake) -> None:
    for info in list(full.store.list("_ledger/")):
        full.store.delete(info.path)
    assert latest_deliveries(full).is_empty()


def test_what_another_version_of_the_program_remembered_is_not_read(full: Lake) -> None:
    for data in (b"no parquet", Path(__file__).read_bytes()):
        full.store.put(newest.PATH, data)
        assert latest_deliveries(full).to_dicts() == by_listing(full)
    newest.remember(full.store, latest_deliveries(full).drop("run_id"), newest.appends(full.store))
    assert latest_deliveries(full).to_dicts() == by_listing(full)
