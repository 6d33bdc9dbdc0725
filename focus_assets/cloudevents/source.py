"""Event files as a usage source: what ``raw_usage``, ``quarantined_events`` and ``event_keys`` hold of a day.

What belongs here: which questions a day asks. What does not: how events are read (``ingest``) and how one
question is answered (``meter``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
from duckdb import DuckDBPyConnection

from focus_assets.catalog.charges import ChargeSlice, cuts_on, midnight
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.file_days import DaysOfFile, FileDays
from focus_assets.cloudevents.files import Listing, list_event_files
from focus_assets.cloudevents.ingest import Events, ingested
from focus_assets.cloudevents.inputs import EventFilesSettings, days_looked_back_on, source_input
from focus_assets.cloudevents.kept_keys import KeptKeys
from focus_assets.cloudevents.lines import LINES_PER_FILE
from focus_assets.cloudevents.meter import ChargeUsage, SubjectCut, to_date_values, unsorted_rows
from focus_assets.cloudevents.query import SUBJECT, MeterQuery, WindowSize
from focus_assets.cloudevents.seen_keys import keys_of_day, mark_seen_before
from focus_assets.cloudevents.sql_text import identifier
from focus_assets.datasets import QUARANTINED_EVENTS, RAW_USAGE
from focus_assets.lake.copies import temporary_folder
from focus_assets.lake.store import ObjectStore, open_store

_DAY: Final = dt.timedelta(days=1)


class CloudEventsSource:
    """A folder or bucket prefix of CloudEvents files, metered with DuckDB.

    ``connection`` is used by one range at a time; its memory limit, threads and spill directory are its
    owner's. ``store`` is where the files lie, by default what ``settings.url`` names, with keys from the
    environment.
    """

    def __init__(
        self,
        settings: EventFilesSettings,
        connection: DuckDBPyConnection,
        store: ObjectStore | None = None,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._store = open_store(settings.url) if store is None else store

    @contextmanager
    def open(
        self,
        days: Sequence[dt.date],
        meters: Iterable[Meter],
        *,
        since: dt.date | None = None,
        undated_day: dt.date | None = None,
        seen: KeptKeys | None = None,
        known: FileDays | None = None,
    ) -> Iterator[MeteredRange]:
        """Read the event files for a range of days.

        ``meters`` are all that the days' catalogs hold. ``since`` is the first day whose events quantities to
        date need, by default the first of ``days``. ``undated_day`` is where quarantined events without any
        date go, by default the first of ``days``; give the same day on every run, or the same event stands on
        several days. ``seen`` has the keys of the days before; without it they are read from the files. ``known``
        says of which files nothing is needed; without it every file is read. Raises EventFilesUnreadable,
        UnsupportedJsonPath and, for buckets, StoreError.
        """
        first, last = min(days), max(days)
        since = min(since or first, first)
        listing = list_event_files(self._store)
        before = known or FileDays(undated_day or first, {})
        held = before.known(listing.files)
        lookback = self._settings.lookback_days
        kept = seen.files(days_looked_back_on(since, lookback, seen.first_day)) if seen else []
        with (
            TemporaryDirectory(prefix="keys-", dir=temporary_folder()) as folder,
            ingested(
                self._connection,
                listing.files,
                Properties.of(meters),
                since=since,
                until=last,
                lookback_days=lookback,
                undated_day=undated_day or first,
                keys_before=seen.first_day if seen else None,
                known=held,
            ) as events,
        ):
            mark_seen_before(events, kept, lookback)
            file_days = {**held, **events.days_read}
            first_day = seen.first_day if seen else since
            yield MeteredRange(events, listing, self._settings, file_days, first_day, Path(folder))


class MeteredRange:
    """Event files, read for a range of days; valid within :meth:`CloudEventsSource.open`."""

    def __init__(
        self,
        events: Events,
        listing: Listing,
        settings: EventFilesSettings,
        file_days: Mapping[str, DaysOfFile],
        first_day: dt.date,
        folder: Path,
    ) -> None:
        self._events = events
        self._listing = listing
        self._settings = settings
        self._window = WindowSize[settings.window.upper()]
        self._file_days = file_days
        self._first_day = first_day
        self._folder = folder

    @property
    def listing(self) -> Listing:
        """The files read, and how many other files lie beside them."""
        return self._listing

    @property
    def events(self) -> Events:
        """The events read, to be asked other questions than a day's."""
        return self._events

    @property
    def days_read(self) -> Mapping[str, DaysOfFile]:
        """The days of each file that was read for this range, by path."""
        return self._events.days_read

    def inputs(self, day: dt.date, slices: Sequence[ChargeSlice]) -> dict[str, str]:
        """What of the files the day's rows rest on, as an entry of its record.

        Its events; those that its quantities to date begin with; and the keys from before the first day that
        its look-back reaches.
        """
        to_date = [s.charge for s in slices if not s.charge.meter.aggregation.adds_up_over_time]
        first = max(min([day, *(charge.period.start.date() for charge in to_date)]), self._first_day)
        look_back = dt.timedelta(days=self._settings.lookback_days)
        if day - self._first_day < look_back:
            first = min(first, day - look_back)
        return source_input(self._settings, self._file_days, first, day)

    def keys(self, day: dt.date) -> pl.LazyFrame:
        """The day's ``event_keys`` rows; collect them before the range is closed."""
        return keys_of_day(self._events, day, self._folder)

    def raw_usage(self, day: dt.date, catalog: Catalog, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
        """The day's ``raw_usage`` rows (schema and order of :data:`focus_assets.datasets.RAW_USAGE`).

        Window rows for every meter, cut where a charge of the subject begins or ends within the day; for
        meters that do not add up over time also a row to date for each slice whose charge has a value. Raises
        MeteredValueTooLarge and InvalidMeterQuery.
        """
        cuts: dict[str, list[SubjectCut]] = {}
        for cut in cuts_on(slices, day):
            cuts.setdefault(cut.meter, []).append(SubjectCut(cut.subject, cut.instant))
        frames = [self._windows(day, meter, cuts.get(meter.slug, [])) for meter in catalog.meters]
        frames += self._to_date(day, slices)
        frames = [frame for frame in frames if not frame.is_empty()]
        if not frames:
            return RAW_USAGE.empty()
        return RAW_USAGE.in_order(pl.concat(frames)).lazy()

    def quarantined(self, day: dt.date) -> pl.LazyFrame:
        """The day's ``quarantined_events`` rows."""
        rows = self._events.connection.execute(
            f"SELECT seq, reason, excerpt FROM {identifier(self._events.table)} "
            "WHERE reason IS NOT NULL AND day = $day ORDER BY seq",
            {"day": day},
        ).fetchall()
        return pl.LazyFrame(
            [
                (day, self._events.path_of(seq), seq % LINES_PER_FILE, reason, text)
                for seq, reason, text in rows
            ],
            schema=QUARANTINED_EVENTS.schema,
            orient="row",
        ).sort(QUARANTINED_EVENTS.order)

    def note(self, day: dt.date) -> Mapping[str, str]:
        """Nothing: files tell no time of their own."""
        return {}

    def counts(self, day: dt.date) -> Mapping[str, int]:
        """The day's events: ``read`` = ``metered`` + ``unmetered`` + ``duplicates`` + ``quarantined``.

        ``unmetered`` events have a type that is of no meter.
        """
        rows = self._events.connection.execute(
            "SELECT CASE WHEN reason IS NOT NULL THEN 'quarantined' WHEN duplicate THEN 'duplicates' "
            "WHEN metered THEN 'metered' ELSE 'unmetered' END, count(*) "
            f"FROM {identifier(self._events.table)} WHERE day = $day GROUP BY 1",
            {"day": day},
        ).fetchall()
        found = Counter(dict(rows))
        return {
            "read": found.total(),
            **{name: found[name] for name in ("metered", "unmetered", "duplicates", "quarantined")},
        }

    def _windows(self, day: dt.date, meter: Meter, cuts: Sequence[SubjectCut]) -> pl.DataFrame:
        start = midnight(day)
        dimensions = sorted(set(meter.group_by) - {SUBJECT})
        query = MeterQuery(start, start + _DAY, self._window, group_by=(SUBJECT, *dimensions))
        found = unsorted_rows(self._events, meter, query, cuts=cuts)
        request = _request(
            meter, start, start + _DAY, group_by=sorted([SUBJECT, *dimensions]), window=self._window
        )
        found = _with_dimensions(found, dimensions)
        return _rows(found, day, meter, "window", pl.lit(request), pl.col("dimensions"), pl.col(SUBJECT))

    def _to_date(self, day: dt.date, slices: Sequence[ChargeSlice]) -> list[pl.DataFrame]:
        asked: dict[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], list[ChargeSlice]] = {}
        for piece in slices:
            charge = piece.charge
            if not charge.meter.aggregation.adds_up_over_time:
                asked.setdefault(
                    (charge.meter.slug, tuple(sorted(charge.feature.filters.items()))), []
                ).append(piece)
        return [
            self._to_date_of(day, pieces, dict(filters)) for (_, filters), pieces in sorted(asked.items())
        ]

    def _to_date_of(
        self, day: dt.date, pieces: Sequence[ChargeSlice], filters: Mapping[str, tuple[str, ...]]
    ) -> pl.DataFrame:
        """One row per slice of charges with the same meter and filters."""
        meter = pieces[0].charge.meter
        usages = [
            ChargeUsage(
                subjects=piece.charge.customer.subjects,
                start=max(piece.charge.period.start, midnight(self._events.since)),
                end=piece.period.end,
            )
            for piece in pieces
        ]
        found = to_date_values(self._events, meter, filters, usages)
        rows = [
            {
                "window_from": piece.charge.period.start,
                "window_to": piece.period.end,
                "charge_id": piece.charge.charge_id,
                "value": value,
                "request": _request(
                    meter,
                    piece.charge.period.start,
                    piece.period.end,
                    filters={key: sorted(texts) for key, texts in filters.items()},
                    subjects=sorted(piece.charge.customer.subjects),
                ),
            }
            for position, value in found.iter_rows()
            for piece in [pieces[position]]
        ]
        columns = ("window_from", "window_to", "charge_id", "value", "request")
        frame = pl.DataFrame(rows, schema={name: RAW_USAGE.schema[name] for name in columns})
        return _rows(frame, day, meter, "to_date", pl.col("request"), pl.lit("{}"), pl.lit(None, pl.String))


def _rows(
    frame: pl.DataFrame,
    day: dt.date,
    meter: Meter,
    kind: str,
    request: pl.Expr,
    dimensions: pl.Expr,
    subject: pl.Expr,
) -> pl.DataFrame:
    """Values as rows of ``raw_usage``."""
    charge_id = pl.col("charge_id") if "charge_id" in frame.columns else pl.lit(None, pl.String)
    return frame.select(
        charge_date=pl.lit(day),
        meter=pl.lit(meter.slug),
        kind=pl.lit(kind),
        request=request,
        window_from=pl.col("window_from"),
        window_to=pl.col("window_to"),
        subject=subject,
        charge_id=charge_id,
        dimensions=dimensions,
        value=pl.col("value"),
    ).match_to_schema(RAW_USAGE.schema)


def _with_dimensions(found: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """``found`` with its groups as ``dimensions``, a JSON object of texts; each combination is written once."""
    if not keys:
        return found.with_columns(dimensions=pl.lit("{}"))
    groups = found.select(keys).unique()
    texts = [_canonical(dict(zip(keys, row, strict=True))) for row in groups.iter_rows()]
    return found.join(groups.with_columns(pl.Series("dimensions", texts, pl.String)), on=keys, how="left")


def _request(
    meter: Meter,
    start: dt.datetime,
    end: dt.datetime,
    *,
    group_by: Sequence[str] = (),
    window: WindowSize | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    subjects: Sequence[str] = (),
) -> str:
    """What was asked, as canonical JSON; what was not asked is left out."""
    asked = {
        "meter": meter.slug,
        "from": f"{start:%FT%TZ}",
        "to": f"{end:%FT%TZ}",
        "group_by": list(group_by),
        "granularity": window,
        "filters": filters,
        "subjects": list(subjects),
    }
    return _canonical({key: value for key, value in asked.items() if value})


def _canonical(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
