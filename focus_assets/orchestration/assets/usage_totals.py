"""``usage_totals``: what each charge used on a day; what tiers and limits are counted from."""

import dagster as dg

from focus_assets.chain import Upstream, usage_totals_days
from focus_assets.datasets import USAGE_TOTALS
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.settings import Settings


def usage_totals_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``usage_totals``."""

    @dg.asset(**by_day(settings), **looks(USAGE_TOTALS, group="usage", kinds={"polars"}, stage="usage"))
    def usage_totals(normalized_usage: Upstream, catalog: Upstream) -> Days:
        """What each charge used that day, also where that is nothing.

        A charge is one version of a subscription item in one rating period. Later days read these totals to know
        which tier their usage falls in.
        """
        return Days(usage_totals_days(normalized_usage, catalog))

    return usage_totals
