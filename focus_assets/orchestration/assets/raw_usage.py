"""``raw_usage``, ``quarantined_events``, ``event_keys``: what the source says, what could not be read, what came."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from focus_assets.chain import Upstream, event_keys_days, quarantined_events_days, raw_usage_days
from focus_assets.cloudevents import MeteredRange
from focus_assets.datasets import EVENT_KEYS, QUARANTINED_EVENTS, RAW_USAGE, Dataset
from focus_assets.orchestration.assets.common import IO_MANAGER, looks
from focus_assets.orchestration.days import DAYS, Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.partitions import by_range, usage_days
from focus_assets.settings import Settings
from focus_assets.usage_source import opened, seen_before, slices_to_meter

SOURCE_POOL = "usage_source"

_RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def raw_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The assets ``raw_usage``, ``quarantined_events`` and, of files, ``event_keys`` over the settings' source."""

    from_files = settings.source.openmeter is None

    @dg.multi_asset(
        name="raw_usage",
        outs={
            **({"event_keys": _out(EVENT_KEYS, _KEYS, "duckdb")} if from_files else {}),
            "raw_usage": _out(RAW_USAGE, _RAW, "duckdb" if from_files else "openmeter"),
            "quarantined_events": _out(
                QUARANTINED_EVENTS, _QUARANTINED, "duckdb" if from_files else "openmeter"
            ),
        },
        partitions_def=usage_days(settings),
        backfill_policy=by_range(settings),
        pool=SOURCE_POOL,
        retry_policy=_RETRIES,
    )
    def raw_usage(
        context: dg.AssetExecutionContext, duckdb: DuckDBResource, catalog: Upstream
    ) -> Iterator[dg.Output[Any]]:
        with explained(), duckdb.get_connection() as connection:
            # DuckDB takes a process that Dagster's launcher spawned for an interactive one and draws into its log.
            connection.execute("SET enable_progress_bar = false")
            days, slices = catalog.days, slices_to_meter(settings, catalog, catalog.days)
            seen = seen_before(settings, catalog.lake)
            with opened(settings, connection, catalog, slices) as source:
                if isinstance(source, MeteredRange):
                    # First: a day's record names the keys of the days before it, and those of the run are among them.
                    yield dg.Output(Days(event_keys_days(source, days)), output_name="event_keys")
                yield dg.Output(Days(raw_usage_days(source, catalog, slices, seen)), output_name="raw_usage")
                yield dg.Output(Days(quarantined_events_days(source, days)), output_name="quarantined_events")

    return raw_usage


_RAW = (
    "What was metered that day, exactly as the source returned it, with the request that asked.\n\n"
    "Late and duplicate events are settled here. Meters that do not add up over time (peaks, unique "
    "counts, latest values) also have their quantity since the start of each charge."
)
_QUARANTINED = (
    "Events that could not be metered, with file, line and reason.\n\nNothing is dropped silently: "
    "mend the file and run the day again."
)
_KEYS = (
    "Which events came that day, by source and id.\n\nAn event that comes again within the look-back is a "
    "duplicate: it is told by the keys of the days before, whose files may be gone by then."
)


def _out(dataset: Dataset, description: str, kind: str) -> dg.AssetOut:
    return dg.AssetOut(
        description=description,
        io_manager_key=IO_MANAGER,
        dagster_type=DAYS,
        **looks(dataset, group="usage", kinds={kind}, stage="usage"),
    )
