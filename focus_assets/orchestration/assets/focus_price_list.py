"""``focus_price_list``: the prices that SkuPriceId refers to."""

import dagster as dg

from focus_assets.billing_stages import focus_price_list_days
from focus_assets.chain import Upstream
from focus_assets.focus.price_list import PRICE_LIST
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.settings import Settings


def focus_price_list_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_price_list``."""

    @dg.asset(**by_day(settings), **looks(PRICE_LIST, group="billing", kinds={"polars"}, stage="billing"))
    def focus_price_list(focus_cost_and_usage: Upstream, catalog: Upstream) -> Days:
        """Every price that a charge of the day refers to by SkuPriceId, as published and as agreed.

        FOCUS wants each SkuPriceId to be found in a price list; a check says that none points outside this one.
        """
        return Days(focus_price_list_days(focus_cost_and_usage, catalog))

    return focus_price_list
