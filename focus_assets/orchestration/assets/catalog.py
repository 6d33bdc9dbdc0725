"""``catalog``: what was metered, for whom and at what price, as it stood each day."""

import dagster as dg

from focus_assets.datasets import CATALOG
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.partitions import day
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Settings
from focus_assets.usage_source import catalog_snapshots


def catalog_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``catalog`` over the configuration, or the server, in ``settings``."""

    @dg.asset(
        **by_day(settings),
        **looks(
            CATALOG,
            group="catalog",
            kinds={"openmeter" if settings.source.has_catalog else "yaml"},
            stage="catalog",
        ),
    )
    def catalog(context: dg.AssetExecutionContext, lake: LakeResource) -> Days:
        """What is metered, for whom and at what price, as it stood that day, from `focus.yaml` or OpenMeter.

        Meters, features, customers, plans and subscriptions. Each day keeps its own snapshot: a price that changes
        tomorrow leaves today's cost alone.
        """
        with explained():
            days = [day(key) for key in context.partition_keys]
            return Days(catalog_snapshots(settings, lake.open(), days))

    return catalog
