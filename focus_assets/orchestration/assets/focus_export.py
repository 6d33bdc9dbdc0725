"""``focus_export/<destination>``: one delivery of a billing month to each destination."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl

from focus_assets.catalog.key_values import vendor_prefix
from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryResult,
    DeliveryRun,
    Provider,
    check_destinations,
    deliver_month,
)
from focus_assets.delivery.datasets import others_of
from focus_assets.delivery.ledger import entries_of, remembering
from focus_assets.delivery.months import DATASET
from focus_assets.delivery.restatements import remember_days
from focus_assets.delivery.unforeseen import ANY_ERROR
from focus_assets.lake import Lake
from focus_assets.orchestration.assets.common import LAKE_POOL, OWNERS
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.metadata import markdown_table
from focus_assets.orchestration.partitions import billing_months
from focus_assets.orchestration.resources import LakeResource
from focus_assets.orchestration.restatement_metadata import restated
from focus_assets.settings import CustomersByLabel, Destination, Settings
from focus_assets.settings.access import open_place
from focus_assets.signing import send_notices, signer_from_environment
from focus_assets.stage_controls import control_problems

EXPORT = "focus_export"
BILLING_MONTH = "focus_assets/billing_month"
"""The tag of a run that delivers a month which is no partition (any more)."""
_HISTORY = 20
_KINDS = {"s3": "s3", "gs": "gcs", "az": "azure"}


def export_key(destination: str) -> dg.AssetKey:
    """The asset key of one destination's deliveries."""
    return dg.AssetKey([EXPORT, destination])


def focus_export_asset(settings: Settings) -> dg.AssetsDefinition:
    """One skippable asset for each destination, in one step, so that a run reads the month's rows once."""
    by_key = {export_key(destination.name): destination for destination in settings.destinations}

    @dg.multi_asset(
        name=EXPORT,
        specs=[_spec(settings, destination) for destination in settings.destinations],
        partitions_def=billing_months(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        can_subset=True,
        pool=LAKE_POOL,
    )
    def focus_export(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        month = month_of_run(context)
        chosen = [by_key[key] for key in sorted(context.selected_asset_keys)]
        opened = lake.open()
        results = deliver_in_run(context, lake, settings, chosen, month)
        for result in _first_of_each(results):
            others = [each for each in results if each is not result and each.dataset != DATASET]
            metadata = _metadata(result) | {"history": _history(opened, result.destination)}
            metadata |= _beside([each for each in others if each.destination == result.destination])
            metadata |= restated(opened, result) if result.dataset == DATASET else {}
            yield from materialized(context, export_key(result.destination), month, metadata)
        require_all(results)

    return focus_export


def _first_of_each(results: Iterable[DeliveryResult | DeliveryFailure]) -> list[DeliveryResult]:
    """What is shown of each destination: Cost and Usage, which is delivered first, or what a month has without it."""
    found: dict[str, DeliveryResult] = {}
    for each in results:
        if isinstance(each, DeliveryResult):
            found.setdefault(each.destination, each)
    return list(found.values())


def month_of_run(context: dg.AssetExecutionContext) -> str:
    """The billing month that a run delivers: that of its partition, or of its tag."""
    return context.run.tags.get(BILLING_MONTH, context.partition_key[:7])


def materialized(
    context: dg.AssetExecutionContext, key: dg.AssetKey, month: str, metadata: dict[str, Any]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Tell of a month's delivery; of one that is no partition only in the log.

    It says nothing of the run's own partition, which other people look at.
    """
    if f"{month}-01" == context.partition_key:
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    else:
        context.log_event(dg.AssetMaterialization(key, partition=f"{month}-01", metadata=metadata))


def deliver_in_run(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    settings: Settings,
    chosen: Sequence[Destination],
    month: str,
) -> list[DeliveryResult | DeliveryFailure]:
    """Deliver a month to some destinations, as the lake's writer, and show the ledger's new entries in the views."""
    with explained():
        opened = lake.open()
        check_destinations(opened.url, settings.destinations)
        with opened.writer(f"run {context.run.run_id}", wait=lake.lease_wait()):
            run = DeliveryRun(
                now=settings.now(),
                since=settings.start_date,
                opener=open_place,
                provider=_provider(settings),
                signer=signer_from_environment(),
                run_id=context.run.run_id,
            )
            with remembering(opened):
                results = deliver_month(
                    opened,
                    chosen,
                    month,
                    run,
                    controls=[control_problems],
                    before_put=lambda passed: remember_days(
                        opened,
                        passed.held,
                        run.now,
                        catalog_of="catalog" if settings.source.has_catalog else "configuration",
                    ),
                )
            try:
                lake.refresh_views()
            except ANY_ERROR as error:
                # The deliveries stand, and what came of them has to be told.
                context.log.warning(f"The SQL views could not be made anew: {error}")
    try:
        for unsent in send_notices(opened, settings.destinations):
            context.log.warning(str(unsent))
    except ANY_ERROR as error:
        # The sensor sends what is owed.
        context.log.warning(f"Notices could not be sent: {error}")
    return results


def require_all(results: Iterable[DeliveryResult | DeliveryFailure]) -> None:
    """Fail the run where a delivery failed: one does not stop the others, but the run has to say that not all arrived.

    Each reason is told once: a month that is refused is refused to every destination.
    """
    failures: dict[str, list[str]] = {}
    for result in results:
        if isinstance(result, DeliveryFailure):
            failures.setdefault(str(result.error), []).append(result.destination)
    if failures:
        told = (f"{', '.join(names)}: {reason}" for reason, names in failures.items())
        raise dg.Failure(description="\n\n".join(told), allow_retries=False)


def _provider(settings: Settings) -> Provider:
    defaults = settings.catalog.defaults
    prefix = vendor_prefix(defaults.vendor_tag_prefix)
    return Provider(defaults.provider_name, (prefix,) if prefix else ())


def _spec(settings: Settings, destination: Destination) -> dg.AssetSpec:
    asked = destination.customers
    if isinstance(asked, CustomersByLabel):
        customers = f"customers with {', '.join(f'{k}={v}' for k, v in sorted(asked.labels.items()))}"
    else:
        customers = "all customers" if asked == "all" else f"customers {', '.join(asked)}"
    return dg.AssetSpec(
        export_key(destination.name),
        deps=["focus_cost_and_usage", *others_of(destination)],
        description=(
            f"FOCUS {destination.focus_version} {', '.join(destination.datasets)} of {customers}, "
            f"as {destination.format}, delivered to `{destination.url}`. "
            "A billing month is delivered whole or not at all; the manifest is written last."
        ),
        group_name="deliveries",
        kinds={_KINDS.get(destination.url.partition("://")[0], "file"), "focus"},
        owners=OWNERS,
        metadata={
            name: dg.MetadataValue.json(dict(decided))
            for name, decided in {"dimensions": destination.dimensions, "tags": destination.tags}.items()
            if decided
        },
        tags={"focus_assets/stage": "delivery"},
        skippable=True,
    )


def _history(lake: Lake, destination: str) -> dg.MarkdownMetadataValue:
    """The newest entries of the ledger for a destination, the newest first."""
    newest = entries_of(lake, destination).sort("delivered_at", "billing_month", descending=True)
    shown = newest.head(_HISTORY).select(
        "billing_month",
        "sequence",
        "delivered_at",
        "result",
        "rows",
        "billed_cost",
        pl.col("content_digest").str.head(12),
        pl.col("supersedes").str.head(12),
    )
    return dg.MetadataValue.md(
        f"The newest {shown.height} of {newest.height} deliveries.\n\n{markdown_table(shown)}"
    )


def _beside(others: Sequence[DeliveryResult | DeliveryFailure]) -> dict[str, Any]:
    """What came of the other datasets."""
    said = {each.dataset: each for each in others if isinstance(each, DeliveryResult)}
    found = {
        name: {
            "result": each.outcome,
            "manifest": each.manifest_url,
            "rows": each.manifest.totals.rows,
        }
        for name, each in said.items()
    }
    return {"other_datasets": dg.MetadataValue.json(found)} if found else {}


def _metadata(result: DeliveryResult) -> dict[str, Any]:
    manifest = result.manifest
    return {
        "result": result.outcome,
        "manifest": result.manifest_url,
        "dagster/partition_row_count": manifest.totals.rows,
        "files": len(manifest.files),
        "bytes": sum(file.bytes for file in manifest.files),
        "content_digest": manifest.content_digest,
        **({"dimensions": dg.MetadataValue.json(manifest.dimensions)} if manifest.dimensions else {}),
        **{
            f"billed_cost_{currency.lower()}": float(Decimal(cost))
            for currency, cost in manifest.totals.billed_cost.items()
        },
    }
