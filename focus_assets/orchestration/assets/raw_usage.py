"""``raw_usage`` and ``quarantined_events``: what the source says, and what could not be read."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from focus_assets.chain import Upstream, quarantined_events_days, raw_usage_days
from focus_assets.datasets import QUARANTINED_EVENTS, RAW_USAGE
from focus_assets.orchestration.assets.common import IO_MANAGER, looks
from focus_assets.orchestration.days import DAYS, Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.partitions import by_range, usage_days
from focus_assets.settings import Settings
from focus_assets.usage_source import opened, slices_to_meter, source_input

SOURCE_POOL = "usage_source"

_RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def raw_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The assets ``raw_usage`` and ``quarantined_events`` over the source in ``settings``."""

    kind = "openmeter" if settings.source.openmeter is not None else "duckdb"

    @dg.multi_asset(
        name="raw_usage",
        outs={
            "raw_usage": dg.AssetOut(
                description=(
                    "What was metered that day, exactly as the source returned it, with the request that asked.\n\n"
                    "Late and duplicate events are settled here. Meters that do not add up over time (peaks, unique "
                    "counts, latest values) also have their quantity since the start of each charge."
                ),
                io_manager_key=IO_MANAGER,
                dagster_type=DAYS,
                **looks(RAW_USAGE, group="usage", kinds={kind}, stage="usage"),
            ),
            "quarantined_events": dg.AssetOut(
                description=(
                    "Events that could not be metered, with file, line and reason.\n\nNothing is dropped silently: "
                    "mend the file and run the day again."
                ),
                io_manager_key=IO_MANAGER,
                dagster_type=DAYS,
                **looks(QUARANTINED_EVENTS, group="usage", kinds={kind}, stage="usage"),
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
            slices = slices_to_meter(settings, catalog, catalog.days)
            fingerprint = source_input(settings)
            with opened(settings, connection, catalog, slices) as source:
                yield dg.Output(
                    Days(raw_usage_days(source, fingerprint, catalog, slices)), output_name="raw_usage"
                )
                yield dg.Output(
                    Days(quarantined_events_days(source, catalog.days)), output_name="quarantined_events"
                )

    return raw_usage
