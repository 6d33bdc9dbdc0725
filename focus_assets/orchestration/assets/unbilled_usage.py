"""``unbilled_usage``: usage that no charge rates, and why."""

import dagster as dg

from focus_assets.chain import Upstream, unbilled_usage_days
from focus_assets.datasets import UNBILLED_USAGE
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.settings import Settings


def unbilled_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``unbilled_usage``."""

    @dg.asset(**by_day(settings), **looks(UNBILLED_USAGE, group="usage", kinds={"polars"}, stage="usage"))
    def unbilled_usage(normalized_usage: Upstream, catalog: Upstream) -> Days:
        """Usage that costs nobody anything, with the reason: no customer, or no rate card for it.

        Together with what is rated it is all of the usage; a check says so before any cost is computed.
        """
        return Days(unbilled_usage_days(normalized_usage, catalog))

    return unbilled_usage
