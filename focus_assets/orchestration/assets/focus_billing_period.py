"""``focus_billing_period``: billing periods, open and closed."""

import dagster as dg

from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.billing_stages import focus_billing_period_days, period_close
from focus_assets.chain import Upstream
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.settings import Settings


def focus_billing_period_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_billing_period``."""

    @dg.asset(
        **by_day(settings),
        # Corrections may be billed in a period in which an account has nothing else.
        deps=["focus_cost_and_usage"],
        **looks(BILLING_PERIODS, group="billing", kinds={"polars", "focus"}, stage="billing"),
    )
    def focus_billing_period(catalog: Upstream) -> Days:
        """FOCUS Billing Period: when the periods of each account and issuer begin and end, and which are closed.

        A period that is open can still change; it closes some days after its end, when its invoice is issued.
        """
        with explained():
            return Days(focus_billing_period_days(catalog, period_close(settings)))

    return focus_billing_period
