"""Duplicates are told by the keys that the lake keeps of earlier days, and by nothing that might be mistaken."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from focus_assets.cloudevents import CloudEventsSource, EarlierKeysMissing, KeptKeys, seen_keys
from focus_assets.cloudevents.file_days import FileDays
from focus_assets.datasets import EVENT_KEYS
from focus_assets.lake import Lake
from focus_assets_tests.cloudevents.opening import COUNT, DAY, TOKENS, Settings, catalog, event, write_lines

DAYS = [DAY + dt.timedelta(days=n) for n in range(40)]
CATALOG = catalog(COUNT, TOKENS)


def at(day: dt.date) -> str:
    return f"{day:%F}T12:00:00Z"


class Kept:
    """A folder of events and a lake that keeps keys, run for some days at a time as the chain does."""

    def __init__(self, connection: DuckDBPyConnection, root: Path, lookback_days: int = 32) -> None:
        self.connection = connection
        self.events = root / "events"
        self.events.mkdir(parents=True)
        self.lake = Lake.open(str(root / "lake"))
        self.settings = Settings(str(self.events), lookback_days=lookback_days)
        self.files_read: set[str] = set()
        self.file_days = FileDays(DAYS[0], {})

    def run(self, days: Sequence[dt.date]) -> dict[dt.date, int]:
        """How many events each day metered."""
        source = CloudEventsSource(self.settings, self.connection)
        keys = KeptKeys(self.lake, DAYS[0])
        found = {}
        with source.open(
            days, CATALOG.meters, undated_day=DAYS[0], seen=keys, known=self.file_days
        ) as opened:
            later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
            self.file_days = self.file_days.with_read(opened.listing.files, opened.days_read, later)
            self.files_read = set(opened.days_read)
            for day in days:
                self.lake.write(EVENT_KEYS.name, day, opened.keys(day))
            for day in days:
                found[day] = opened.counts(day)["metered"]
        return found

    def keys(self, day: dt.date) -> pl.DataFrame:
        return self.lake.scan(EVENT_KEYS.name, [day]).collect()


@pytest.fixture
def kept(connection: DuckDBPyConnection, tmp_path: Path) -> Kept:
    return Kept(connection, tmp_path)


def test_an_event_whose_first_file_is_gone_is_still_a_duplicate(kept: Kept) -> None:
    first = write_lines(kept.events / "a.ndjson", [event("x", time=at(DAYS[0]))])
    kept.run([DAYS[0]])
    first.unlink()
    write_lines(kept.events / "b.ndjson", [event("x", time=at(DAYS[1])), event("y", time=at(DAYS[1]))])
    assert kept.run([DAYS[1]]) == {DAYS[1]: 1}


def test_it_counts_again_one_day_after_the_look_back(kept: Kept) -> None:
    kept.settings = Settings(str(kept.events), lookback_days=3)
    write_lines(kept.events / "a.ndjson", [event("x", time=at(DAYS[0])), event("y", time=at(DAYS[0]))])
    write_lines(kept.events / "b.ndjson", [event("x", time=at(DAYS[3])), event("y", time=at(DAYS[4]))])
    kept.run(DAYS[:3])
    assert kept.run([DAYS[3]]) == {DAYS[3]: 0}
    assert kept.run([DAYS[4]]) == {DAYS[4]: 1}


def test_a_key_that_differs_in_source_or_in_any_character_is_another(kept: Kept) -> None:
    """All of these share a bucket: its number follows from the end of the id alone."""
    write_lines(kept.events / "a.ndjson", [event("abc", source="s", time=at(DAYS[0]))])
    others = [("abc", "S"), ("abc", "s "), ("xabc", "s"), ("Abc", "s"), ("aabc", ""), ("a\u0301abc", "s")]
    write_lines(
        kept.events / "b.ndjson",
        [event(id, source=source or "t", time=at(DAYS[1])) for id, source in others],
    )
    kept.run([DAYS[0]])
    assert kept.run([DAYS[1]]) == {DAYS[1]: len(others)}


def test_a_look_back_day_without_keys_is_refused_with_the_command_that_fills_it(kept: Kept) -> None:
    write_lines(kept.events / "a.ndjson", [event("x", time=at(DAYS[0]))])
    with pytest.raises(
        EarlierKeysMissing, match=r"materialize --from 2026-08-15 --to 2026-08-16\n.*lookback_days"
    ):
        kept.run([DAYS[2]])
    kept.settings = Settings(str(kept.events), lookback_days=0)
    assert kept.run([DAYS[2]]) == {DAYS[2]: 0}


def test_days_before_the_first_are_looked_back_on_in_the_files(kept: Kept) -> None:
    before = DAYS[0] - dt.timedelta(days=2)
    write_lines(kept.events / "a.ndjson", [event("x", time=at(before)), event("y", time=at(before))])
    write_lines(kept.events / "b.ndjson", [event("x", time=at(DAYS[0])), event("y", time=at(DAYS[1]))])
    assert kept.run([DAYS[0]]) == {DAYS[0]: 0}
    assert kept.run([DAYS[1]]) == {DAYS[1]: 0}


def test_restating_a_day_rewrites_its_keys(kept: Kept) -> None:
    path = write_lines(kept.events / "a.ndjson", [event("x", time=at(DAYS[0]))])
    write_lines(kept.events / "b.ndjson", [event("x", time=at(DAYS[1])), event("z", time=at(DAYS[1]))])
    kept.run([DAYS[0]])
    assert kept.run([DAYS[1]]) == {DAYS[1]: 1}
    write_lines(path, [event("z", time=at(DAYS[0])), event("w", time=at(DAYS[0]))])
    kept.run([DAYS[0]])
    assert sorted(kept.keys(DAYS[0])["id"]) == ["w", "z"]
    assert kept.run([DAYS[1]]) == {DAYS[1]: 1}, "x is new now, z was seen"


def test_a_days_keys_are_every_valid_event_once_also_those_seen_before(kept: Kept) -> None:
    write_lines(kept.events / "a.ndjson", [event("x", time=at(DAYS[0]))])
    write_lines(
        kept.events / "b.ndjson",
        [
            event("x", time=at(DAYS[1])),
            event("x", time=at(DAYS[1])),
            event("y", time=at(DAYS[1])),
            event("y", time=at(DAYS[1])),
            event("bad", data="bad", time=at(DAYS[1])),
            event("u", type="nobody meters", time=at(DAYS[1])),
        ],
    )
    kept.run([DAYS[0]])
    kept.run([DAYS[1]])
    assert kept.keys(DAYS[1])["id"].to_list() == sorted(
        ["x", "y", "u"], key=lambda id: (31 * ord(id) - 8 + 64) % 64
    )


def test_the_keys_of_a_day_do_not_depend_on_how_the_files_hold_it(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    events = [event(f"{n % 50}", time=at(DAYS[0])) for n in range(80)]
    one, other = Kept(connection, tmp_path / "1"), Kept(connection, tmp_path / "2")
    write_lines(one.events / "a.ndjson", events)
    random.Random(7).shuffle(events)
    for n in range(9):
        write_lines(other.events / f"{n}.ndjson", events[n::9])
    one.run([DAYS[0]])
    other.run([DAYS[0]])
    digests = [each.lake.records(EVENT_KEYS.name, [DAYS[0]])[DAYS[0]].sha256 for each in (one, other)]
    assert digests[0] == digests[1]


def test_files_that_hold_nothing_of_the_days_are_not_read_again(kept: Kept) -> None:
    for n in range(4):
        write_lines(kept.events / f"{n}.ndjson", [event(f"e{n}", time=at(DAYS[n]))])
    kept.run([DAYS[0]])
    assert kept.files_read == {f"{n}.ndjson" for n in range(4)}
    assert kept.run([DAYS[1]]) == {DAYS[1]: 1}
    assert kept.files_read == {"1.ndjson"}
    write_lines(kept.events / "0.ndjson", [event("e0", time=at(DAYS[2])), event("new", time=at(DAYS[2]))])
    assert kept.run([DAYS[2]]) == {DAYS[2]: 2}
    assert kept.files_read == {"0.ndjson", "2.ndjson"}, "a file that changed is read, whatever it held before"


@hypothesis_settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    came=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40
    ),
    cuts=st.sets(st.integers(1, 6), max_size=2),
    lookback=st.integers(0, 4),
    at_a_time=st.sampled_from([1, 10, 2_000_000]),
)
def test_runs_of_any_length_keep_the_same_events_and_no_other_than_a_set_would(
    tmp_path_factory: pytest.TempPathFactory,
    came: list[tuple[int, int, int]],
    cuts: set[int],
    lookback: int,
    at_a_time: int,
) -> None:
    with duckdb.connect(config={"threads": 1}) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen_keys, "KEYS_AT_A_TIME", at_a_time)
        kept = Kept(connection, tmp_path_factory.mktemp("kept"), lookback)
        for n, (day, key, source) in enumerate(came):
            name = kept.events / f"{n % 3}.ndjson"
            lines = name.read_text().splitlines() if name.exists() else []
            one = event(f"id-{key}", source=f"source-{source}", time=at(DAYS[day]))
            write_lines(name, [*lines, one])
        bounds = [0, *sorted(cuts), 7]
        found: dict[dt.date, int] = {}
        for first, end in itertools.pairwise(bounds):
            found |= kept.run(DAYS[first:end])
    days_of: dict[tuple[int, int], set[int]] = {}
    for day, key, source in came:
        days_of.setdefault((key, source), set()).add(day)
    expected = dict.fromkeys(DAYS[:7], 0)
    for days in days_of.values():
        for day in days:
            expected[DAYS[day]] += not any(day - lookback <= other < day for other in days)
    assert found == expected
