"""``catalog``: what was metered, for whom and at what price, as it stood each day."""

import dagster as dg

from focus_assets.chain import catalog_days
from focus_assets.datasets import CATALOG
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.partitions import day
from focus_assets.settings import Settings


def catalog_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``catalog`` over the configuration in ``settings``."""

    @dg.asset(**by_day(settings), **looks(CATALOG, group="catalog", kinds={"yaml"}, stage="catalog"))
    def catalog(context: dg.AssetExecutionContext) -> Days:
        """What is metered, for whom and at what price, as it stood that day, from `focus.yaml`.

        Meters, features, customers, plans and subscriptions. Each day keeps its own snapshot: a price that changes
        tomorrow leaves today's cost alone.
        """
        with explained():
            return Days(catalog_days(settings.catalog, [day(key) for key in context.partition_keys]))

    return catalog
