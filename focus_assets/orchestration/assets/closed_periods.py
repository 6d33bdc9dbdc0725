"""``closed_periods``: the rows of billing periods that have closed are kept for good."""

import dagster as dg

from focus_assets.billing.datasets import CLOSED_PERIODS, INVOICE_DETAILS
from focus_assets.billing_stages import closed_period_days, period_close
from focus_assets.chain import Upstream
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.settings import Settings


def closed_periods_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``closed_periods``."""

    @dg.asset(
        **by_day(settings),
        # A day that fails a check is not kept: what is kept never changes.
        deps=[INVOICE_DETAILS.name],
        **looks(CLOSED_PERIODS, group="billing", kinds={"polars", "focus"}, stage="billing"),
    )
    def closed_periods(focus_cost_and_usage: Upstream, catalog: Upstream) -> Days:
        """The billing periods whose rows of the day are kept for good, once every check of the day has passed.

        Late usage, or a price that is changed afterwards, adds corrections in an open period (`billing.late_usage`)
        and leaves these rows as they are.
        """
        with explained():
            return Days(closed_period_days(focus_cost_and_usage, catalog, period_close(settings)))

    return closed_periods
