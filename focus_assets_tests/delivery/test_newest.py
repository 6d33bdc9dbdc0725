"""What is newest in the ledger is remembered: what that costs, and that it is never older than the ledger."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import queue
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import ledger, newest
from focus_assets.delivery.ledger import LedgerEntry, append, entries, latest_deliveries, remembering
from focus_assets.delivery.manifest import ControlTotals
from focus_assets.lake import Lake
from focus_assets_tests.delivery.conftest import NOW

DESTINATIONS, MONTHS, VERSIONS = 20, 12, 3
RACES = 60


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
    assert asked(full) == {"read": 3}
    assert found.to_dicts() == by_listing(full)


def test_a_run_lists_the_ledger_once_and_reads_what_it_appended(full: Lake) -> None:
    with remembering(full):
        append(full, entry("d3", "2026-05", VERSIONS + 1))
        append(full, entry("d4", "2026-05", 1, "focus_billing_period"))
    assert asked(full) == {"read": 7, "put": 4, "list": 1, "get": 2}
    found = latest_deliveries(full)
    assert found.height == DESTINATIONS * MONTHS + 1
    assert found.to_dicts() == by_listing(full)


def test_a_run_that_appends_nothing_lists_the_ledger_and_puts_nothing(full: Lake) -> None:
    with remembering(full):
        pass
    assert asked(full) == {"read": 2, "list": 1}


def test_an_entry_that_was_hidden_is_found_by_the_next_run_also_where_that_appends_nothing(
    full: Lake,
) -> None:
    """As one leaves it who slept while he appended and was killed."""
    data = entry("hidden", "2026-05", 1).model_dump_json().encode()
    full.store.put("_ledger/hidden/2026-05/000001.json", data, if_absent=True)
    assert latest_deliveries(full).to_dicts() != by_listing(full)
    with remembering(full):
        pass
    assert remembers(full)
    assert latest_deliveries(full).to_dicts() == by_listing(full)


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
    assert remembers(full)
    assert latest_deliveries(full).to_dicts() == by_listing(full)


def test_what_is_remembered_is_gone_before_an_entry_is_there(
    full: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two leaves a ledger that is listed; the other way round one entry would be missed."""
    puts = full.store.put

    def killed(path: str, *arguments: Any, **options: Any) -> Any:
        if path == newest.PATH:
            return puts(path, *arguments, **options)
        assert not remembers(full)
        raise KeyboardInterrupt(path)

    monkeypatch.setattr(full.store, "put", killed, raising=False)
    with pytest.raises(KeyboardInterrupt, match="_ledger/d3/2026-05/000004"):
        append(full, entry("d3", "2026-05", VERSIONS + 1))


@contextmanager
def as_another_process() -> Iterator[None]:
    """What this process knows of its own appends is not known to another one."""
    held = [dict(each) for each in (newest._named, newest._under_way, newest._blocks)]
    for each in (newest._named, newest._under_way, newest._blocks):
        each.clear()
    try:
        yield
    finally:
        for each, before in zip((newest._named, newest._under_way, newest._blocks), held, strict=True):
            each.clear()
            each.update(before)  # type: ignore[arg-type]


@pytest.mark.parametrize("who", ["a thread", "another process"])
@pytest.mark.parametrize("when", ["before it is put", "between its put and its entry", "around the put"])
def test_an_append_meanwhile_leaves_nothing_old(
    empty: Lake, monkeypatch: pytest.MonkeyPatch, who: str, when: str
) -> None:
    """Its entry comes after the ledger was listed: what was listed is not remembered, or not for long."""
    does = newest.remember
    elsewhere = as_another_process if who == "another process" else nullcontext
    late = entry("other", "2026-05", 1)

    def remember(*arguments: Any) -> None:
        with elsewhere():
            if when == "before it is put":
                append(empty, late)
                does(*arguments)
            elif when == "around the put":
                with newest.appending(empty.store):
                    does(*arguments)
                    assert not remembers(empty)
                    append(empty, late)
            else:
                does(*arguments)
                append(empty, late)

    monkeypatch.setattr(newest, "remember", remember)
    with remembering(empty):
        append(empty, entry("one", "2026-05", 1))
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)
    assert not remembers(empty)
    monkeypatch.undo()
    with remembering(empty):
        pass
    assert remembers(empty)
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)


def test_while_another_process_appends_nothing_is_remembered(empty: Lake) -> None:
    with as_another_process():
        other = newest.appending(empty.store)
        other.__enter__()
        theirs = [dict(each) for each in (newest._named, newest._under_way)]
    with remembering(empty):
        append(empty, entry("one", "2026-05", 1))
    assert not remembers(empty)
    with as_another_process():
        newest._named.update(theirs[0])
        newest._under_way.update(theirs[1])
        append(empty, entry("other", "2026-05", 1))
        other.__exit__(None, None, None)
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)


def test_a_note_that_came_back_is_not_the_one_that_was_claimed(empty: Lake) -> None:
    """Another that enters and leaves after the claim has appended after the ledger was listed."""
    claimed = newest.claim(empty.store)
    assert claimed is not None
    listed = latest_deliveries(empty)
    with as_another_process():
        append(empty, entry("other", "2026-05", 1))
    newest.remember(empty.store, listed, claimed)
    assert not remembers(empty)


def test_who_was_killed_while_it_appended_is_passed_over_after_a_while(
    empty: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_another_process():
        killed = newest.appending(empty.store)
        killed.__enter__()
    with remembering(empty):
        append(empty, entry("one", "2026-05", 1))
    assert not remembers(empty)
    later = dt.datetime.now(dt.UTC) + newest.FORGOTTEN_AFTER + dt.timedelta(seconds=1)
    monkeypatch.setattr(newest, "_now", lambda: later)
    with remembering(empty):
        pass
    assert remembers(empty)
    assert killed, "held until here: what nobody holds ends by itself"


def test_an_append_that_slept_is_not_hidden_though_it_was_passed_over(
    empty: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = dt.datetime.now(dt.UTC) + newest.FORGOTTEN_AFTER + dt.timedelta(seconds=1)
    with newest.appending(empty.store):
        monkeypatch.setattr(newest, "_now", lambda: later)
        with as_another_process(), remembering(empty):
            append(empty, entry("one", "2026-05", 1))
        assert remembers(empty)
        data = entry("slept", "2026-05", 1).model_dump_json().encode()
        empty.store.put("_ledger/slept/2026-05/000001.json", data, if_absent=True)
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)


@pytest.mark.parametrize("together", [False, True])
def test_a_clock_that_is_ahead_hides_no_entry_of_those_it_passes_over(
    empty: Lake, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    ahead = dt.datetime.now(dt.UTC) + newest.FORGOTTEN_AFTER + dt.timedelta(minutes=1)
    with remembering(empty) if together else nullcontext(), newest.appending(empty.store):
        with monkeypatch.context() as other, as_another_process():
            other.setattr(newest, "_now", lambda: ahead)
            with remembering(empty):
                append(empty, entry("one", "2026-05", 1))
        assert remembers(empty)
        data = entry("passed over", "2026-05", 1).model_dump_json().encode()
        empty.store.put("_ledger/passed over/2026-05/000001.json", data, if_absent=True)
    assert latest_deliveries(empty).to_dicts() == by_listing(empty)


def _appends_again_and_again(root: str, name: str, began: Any, told: Any) -> None:
    lake = Lake.open(root)
    began.wait()
    for sequence in range(1, RACES + 1):
        with remembering(lake):
            append(lake, entry(name, "2026-05", 1).model_copy(update={"sequence": sequence}))
            told.put((name, sequence))


def test_of_processes_that_all_take_themselves_for_the_writer_none_hides_an_entry(tmp_path: Path) -> None:
    """What was appended before somebody asks is in the answer, however often they remember over each other."""
    spawn = multiprocessing.get_context("spawn")
    began, told = spawn.Barrier(3), spawn.Queue()
    root = str(tmp_path / "lake")
    processes = [
        spawn.Process(target=_appends_again_and_again, args=(root, name, began, told)) for name in ("a", "b")
    ]
    for process in processes:
        process.start()
    began.wait()
    lake, known, asked_for, copies = Lake.open(root), dict[str, int](), 0, 0
    while any(process.is_alive() for process in processes) or not told.empty():
        with suppress(queue.Empty):
            while True:
                name, sequence = told.get(timeout=0.005)
                known[name] = sequence
        copies += remembers(lake)
        newest_of = dict(latest_deliveries(lake).select("destination", "sequence").iter_rows())
        assert all(newest_of[name] >= sequence for name, sequence in known.items()), (newest_of, known)
        asked_for += 1
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert known == {"a": RACES, "b": RACES}
    assert asked_for > 10
    assert latest_deliveries(lake).to_dicts() == by_listing(lake)


def remembers(lake: Lake) -> bool:
    return newest.remembered(lake.store, ledger.SCHEMA) is not None


def test_a_ledger_that_was_lost_takes_what_is_remembered_with_it(full: Lake) -> None:
    for info in list(full.store.list("_ledger/")):
        full.store.delete(info.path)
    assert latest_deliveries(full).is_empty()


def test_what_another_version_of_the_program_remembered_is_not_read(full: Lake) -> None:
    for data in (b"no parquet", Path(__file__).read_bytes()):
        full.store.put(newest.PATH, data)
        assert latest_deliveries(full).to_dicts() == by_listing(full)
    claimed = newest.claim(full.store)
    assert claimed is not None
    newest.remember(full.store, latest_deliveries(full).drop("run_id"), claimed)
    assert not remembers(full)
    assert latest_deliveries(full).to_dicts() == by_listing(full)
