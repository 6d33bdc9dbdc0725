"""An OpenMeter server as a usage source: what ``raw_usage`` holds of a day.

What belongs here: answers as rows of the dataset. What does not: what is asked (``extraction``). Gives the same
rows as ``cloudevents.source``, so that everything after it knows no difference.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import QUARANTINED_EVENTS, RAW_USAGE
from focus_assets.openmeter.errors import ControlTotalDiffers
from focus_assets.openmeter.extraction import Answer, Extraction, ToDate
from focus_assets.openmeter.questions import Window
from focus_assets.openmeter.server import Server, probe
from focus_assets.openmeter.transport import Transport

T = TypeVar("T")


class ServerSettings(Protocol):
    """What of the settings this source reads."""

    @property
    def url(self) -> str: ...

    @property
    def window(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def timeout_seconds(self) -> int: ...


class OpenMeterSource:
    """A server that meters usage. ``connect`` makes its transport; tests replace it."""

    def __init__(
        self, settings: ServerSettings, connect: Callable[[ServerSettings], Transport] | None = None
    ) -> None:
        self._settings = settings
        self._connect = connect or connection

    @contextmanager
    def open(self, *, first_day: dt.date) -> Iterator[OpenMeterRange]:
        """Connect for some days. ``first_day`` is the chain's first, which asks for opening quantities too.

        Raises OpenMeterError.
        """
        with asyncio.Runner() as runner:
            transport, server = runner.run(_connected(self._connect, self._settings))
            try:
                extraction = Extraction(server, Window[self._settings.window.upper()])
                yield OpenMeterRange(runner, server, extraction, first_day, server_input(self._settings))
            finally:
                runner.run(transport.close())


def connection(settings: ServerSettings) -> Transport:
    """A transport as the settings say; the token comes from the environment."""
    return Transport(settings.url, concurrency=settings.concurrency, timeout_seconds=settings.timeout_seconds)


def server_input(settings: ServerSettings) -> dict[str, str]:
    """How usage is asked for, as an entry of a record's inputs.

    A server cannot say whether its usage has changed since; the late usage sensor finds that out.
    """
    digest = hashlib.sha256(f"{settings.url} {settings.window}\n".encode()).hexdigest()
    return {"source/openmeter": digest}


def asked_once(
    settings: ServerSettings,
    question: Callable[[Server], Coroutine[Any, Any, T]],
    connect: Callable[[ServerSettings], Transport] | None = None,
) -> T:
    """Connect, ask, close. Raises OpenMeterError."""

    async def asked() -> T:
        transport, server = await _connected(connect or connection, settings)
        async with transport:
            return await question(server)

    return asyncio.run(asked())


async def _connected(
    connect: Callable[[ServerSettings], Transport], settings: ServerSettings
) -> tuple[Transport, Server]:
    transport = connect(settings)
    try:
        return transport, await probe(transport)
    except BaseException:
        await transport.close()
        raise


class OpenMeterRange:
    """A server, open for some days; valid within :meth:`OpenMeterSource.open`."""

    def __init__(
        self,
        runner: asyncio.Runner,
        server: Server,
        extraction: Extraction,
        first_day: dt.date,
        inputs: Mapping[str, str],
    ) -> None:
        self._runner = runner
        self._server = server
        self._extraction = extraction
        self._first_day = first_day
        self._inputs = inputs
        self._counts: dict[dt.date, Mapping[str, int]] = {}
        self._notes: dict[dt.date, Mapping[str, str]] = {}

    def raw_usage(self, day: dt.date, catalog: Catalog, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
        """The day's ``raw_usage`` rows (schema and order of :data:`focus_assets.datasets.RAW_USAGE`).

        Window rows for every meter, in parts where a charge of the subject begins or ends within the day; for
        meters that do not add up over time a row to date for each slice with a value; on the first day an
        opening row for each charge that began earlier and has one. Raises OpenMeterError.
        """
        began = dt.datetime.now(dt.UTC)
        windows, to_date, opening = self._runner.run(self._asked(day, catalog, slices))
        self._notes[day] = self._note(began)
        charges = pl.concat([_charge_rows(day, "to_date", to_date), _charge_rows(day, "opening", opening)])
        frame = _in_order(day, windows, charges)
        _require_distinct(day, frame)
        # Not the requests: their number varies with the network, and records of equal days have to be equal.
        self._counts[day] = {"rows": frame.height}
        return frame.lazy()

    def quarantined(self, day: dt.date) -> pl.LazyFrame:
        """No rows: OpenMeter keeps faulty events to itself and shows them in its own list of events."""
        return QUARANTINED_EVENTS.empty()

    def inputs(self, day: dt.date, slices: Sequence[ChargeSlice]) -> Mapping[str, str]:
        """How the server is asked, as an entry of the day's record."""
        return self._inputs

    def note(self, day: dt.date) -> Mapping[str, str]:
        """When the day was asked for, by this machine's clock and by the server's; differs from run to run."""
        return self._notes.get(day, {})

    def _note(self, began: dt.datetime) -> dict[str, str]:
        # The clock is no input here: these times go beside the data and nothing is computed from them.
        transport = self._server.transport
        return {
            "server": transport.url,
            "asked_from": began.isoformat(timespec="seconds"),
            "asked_until": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "server_date": transport.server_date.isoformat() if transport.server_date else "",
        }

    def counts(self, day: dt.date) -> Mapping[str, int]:
        """How many rows came."""
        return self._counts.get(day, {})

    async def _asked(
        self, day: dt.date, catalog: Catalog, slices: Sequence[ChargeSlice]
    ) -> tuple[list[Answer], list[ToDate], list[ToDate]]:
        windows = await self._extraction.windows(day, catalog.meters, slices)
        to_date = await self._extraction.to_date(slices)
        opening = await self._extraction.opening(day, slices) if day == self._first_day else []
        return windows, to_date, opening


def _in_order(day: dt.date, answers: Iterable[Answer], charges: pl.DataFrame) -> pl.DataFrame:
    """The day's rows in the order of the dataset.

    Most meters have one answer, which is in order already; only the rest is sorted.
    """
    of_meters: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
    for answer in answers:
        of_meters[answer.question.meter.slug].append(_window_rows(day, answer))
    also_charged = set(charges["meter"])
    sorted_already = {
        slug: rows[0] for slug, rows in of_meters.items() if len(rows) == 1 and slug not in also_charged
    }
    others = [rows for slug, several in of_meters.items() if slug not in sorted_already for rows in several]
    rest = RAW_USAGE.in_order(pl.concat([charges, *others]))
    pieces = {**sorted_already, **{rows["meter"][0]: rows for rows in _by_meter(rest)}}
    return pl.concat([rest.clear(), *(pieces[slug] for slug in sorted(pieces))], rechunk=True)


def _by_meter(rows: pl.DataFrame) -> list[pl.DataFrame]:
    return rows.partition_by("meter", maintain_order=True) if rows.height else []


def _window_rows(day: dt.date, answer: Answer) -> pl.DataFrame:
    question, rows = answer.question, answer.rows
    alike = {
        "charge_date": day,
        "meter": question.meter.slug,
        "kind": "window",
        "request": question.text(),
        "charge_id": None,
    }
    # No query: what a query costs for 2,000 rows is the query.
    columns = [
        pl.Series(name, [alike[name]], dtype).new_from_index(0, rows.height) if name in alike else rows[name]
        for name, dtype in RAW_USAGE.schema.items()
    ]
    return pl.DataFrame(columns)


def _charge_rows(day: dt.date, kind: str, found: Iterable[ToDate]) -> pl.DataFrame:
    rows = [
        (
            day,
            each.piece.charge.meter.slug,
            kind,
            each.question.text(),
            each.question.start,
            each.question.end,
            None,
            each.piece.charge.charge_id,
            "{}",
            each.value,
        )
        for each in found
        if each.value is not None
    ]
    return pl.DataFrame(rows, schema=RAW_USAGE.schema, orient="row")


def _require_distinct(day: dt.date, frame: pl.DataFrame) -> None:
    """No window twice, also across questions; what follows adds rows up and would count it twice.

    ``frame`` is sorted, so that equal keys stand one after the other.
    """
    repeated = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in RAW_USAGE.order)
    twice = frame.select(repeated.sum()).item()
    if twice:
        raise ControlTotalDiffers(
            f"{day:%F}: {twice} rows stand twice across the day's questions. Nothing was written."
        )
