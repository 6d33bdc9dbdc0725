"""``focus_invoice_detail``: lines of invoices."""

import dagster as dg

from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing_stages import focus_invoice_detail_days, period_close
from focus_assets.chain import Upstream
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.settings import Settings


def focus_invoice_detail_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_invoice_detail``."""

    @dg.asset(
        **by_day(settings),
        **looks(INVOICE_DETAILS, group="billing", kinds={"polars", "focus"}, stage="billing"),
    )
    def focus_invoice_detail(focus_cost_and_usage: Upstream, catalog: Upstream) -> Days:
        """FOCUS Invoice Detail: the lines of every invoice that was issued, each on the day its period ends.

        A line is a component of a charge's price, rounded as an invoice is. The charges that it adds up name it in
        InvoiceId and InvoiceDetailId.
        """
        with explained():
            return Days(
                focus_invoice_detail_days(
                    focus_cost_and_usage, catalog, period_close(settings), settings.billing
                )
            )

    return focus_invoice_detail
