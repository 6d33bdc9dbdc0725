"""``normalized_usage``: one vocabulary for every source, and the customer of every subject."""

import dagster as dg

from focus_assets.chain import Upstream, normalized_usage_days
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.settings import Settings


def normalized_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``normalized_usage``."""

    @dg.asset(**by_day(settings), **looks(NORMALIZED_USAGE, group="usage", kinds={"polars"}, stage="usage"))
    def normalized_usage(raw_usage: Upstream, catalog: Upstream) -> Days:
        """Usage in the meter's unit, attributed to the customers of that day, whatever source it came from.

        Quantities are exact, to nine decimal places. Subjects that belong to nobody stay in, without a customer.
        """
        return Days(normalized_usage_days(raw_usage, catalog))

    return normalized_usage
