"""``focus_export`` where there are very many destinations: one asset stands for all, and the ledger for each.

What belongs here: the one asset, how a run is told which destinations it is for, and how what came of each is read from
a materialization, whichever of the two kinds of asset it is of. What does not: an asset for each destination
(``focus_export``), and delivering.

Dagster loads and draws each asset; a thousand of them are no graph that anybody reads. Which destination got what is in
the ledger (``focus-assets deliveries``, the view ``deliveries``), where it is for any number of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from focus_assets.delivery import DeliveryFailure, DeliveryResult
from focus_assets.orchestration.assets.common import LAKE_POOL, OWNERS
from focus_assets.orchestration.assets.focus_export import (
    EXPORT,
    deliver_in_run,
    export_key,
    materialized,
    month_of_run,
    require_all,
)
from focus_assets.orchestration.partitions import billing_months
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import ConfigurationError, Settings

ALL_DELIVERIES: Final = dg.AssetKey([EXPORT])
_EACH: Final = "deliveries"


class Chosen(dg.Config):
    """Whom a run delivers to."""

    destinations: list[str] = []
    """Names of destinations; all of them where none is named."""


def one_for_all(settings: Settings) -> bool:
    """Whether one asset stands for all destinations."""
    return len(settings.destinations) > settings.destination_assets


def run_of(settings: Settings, destinations: Sequence[str]) -> dict[str, Any]:
    """What a run of the export job has to be asked for to deliver to ``destinations``: assets and run config."""
    if not one_for_all(settings):
        return {"asset_selection": [export_key(name) for name in destinations], "run_config": {}}
    config = {"ops": {EXPORT: {"config": {"destinations": list(destinations)}}}}
    return {"asset_selection": [ALL_DELIVERIES], "run_config": config}


def deliveries_of(materialization: dg.AssetMaterialization) -> Iterator[dict[str, Any]]:
    """The deliveries that a materialization tells of: destination, month, result, manifest and further figures."""
    found: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}
    month = (materialization.partition or "")[:7]
    if materialization.asset_key == ALL_DELIVERIES:
        for each in found[_EACH]:
            yield {"month": month, **each}
    else:
        yield {"destination": materialization.asset_key.path[-1], "month": month, **found}


def all_deliveries_asset(settings: Settings) -> dg.AssetsDefinition:
    """One asset whose run delivers a month to all destinations, or to those that its config names."""
    known = {destination.name: destination for destination in settings.destinations}

    @dg.asset(
        key=ALL_DELIVERIES,
        deps=["focus_cost_and_usage"],
        description=(
            f"FOCUS cost and usage for {len(known):,} destinations, from one pass over the month's rows. A billing "
            "month is delivered to each whole or not at all; the manifest is written last. What each destination got "
            "is in the ledger: `focus-assets deliveries`, or the view `deliveries`."
        ),
        group_name="deliveries",
        kinds={"focus"},
        owners=OWNERS,
        tags={"focus_assets/stage": "delivery"},
        partitions_def=billing_months(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        pool=LAKE_POOL,
        # A run that delivers a month which is no partition says nothing of its own.
        output_required=False,
    )
    def focus_export(
        context: dg.AssetExecutionContext, config: Chosen, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        if unknown := sorted(set(config.destinations) - set(known)):
            raise dg.Failure(
                description=str(
                    ConfigurationError(
                        f"unknown destination {', '.join(unknown)}; known are {len(known):,}. Nothing was delivered."
                    )
                ),
                allow_retries=False,
            )
        chosen = [known[name] for name in sorted(set(config.destinations) or known)]
        month = month_of_run(context)
        results = deliver_in_run(context, lake, settings, chosen, month)
        if any(isinstance(result, DeliveryResult) for result in results):
            yield from materialized(context, ALL_DELIVERIES, month, _metadata(results))
        require_all(results)

    return focus_export


def _metadata(results: Sequence[DeliveryResult | DeliveryFailure]) -> dict[str, Any]:
    done = [result for result in results if isinstance(result, DeliveryResult)]
    return {
        "dagster/partition_row_count": sum(result.manifest.totals.rows for result in done),
        "destinations": len({result.destination for result in results}),
        **Counter(result.outcome for result in done),
        "failed": len(results) - len(done),
        "bytes": sum(file.bytes for result in done for file in result.manifest.files),
        _EACH: dg.MetadataValue.json(
            [
                {
                    "destination": result.destination,
                    "dataset": result.dataset,
                    "result": result.outcome,
                    "manifest": result.manifest_url,
                    "rows": result.manifest.totals.rows,
                    "files": len(result.manifest.files),
                }
                for result in done
            ]
        ),
    }
