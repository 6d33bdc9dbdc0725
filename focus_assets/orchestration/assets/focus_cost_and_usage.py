"""``focus_cost_and_usage``: FOCUS charges of a day."""

import dagster as dg

from focus_assets.billing_stages import period_close
from focus_assets.chain import Upstream
from focus_assets.cost_stages import focus_cost_and_usage_days
from focus_assets.orchestration.assets.common import appearance, by_day
from focus_assets.orchestration.column_lineage import FOCUS, column_lineage
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.focus_metadata import focus_table_schema
from focus_assets.settings import Settings

FOCUS_GRAIN = {FOCUS: "charge × price component × dimensions × day"}


def focus_cost_and_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_cost_and_usage``."""

    @dg.asset(
        **by_day(settings),
        # No cost is computed before every window is known to be either rated or listed as unbilled.
        deps=["unbilled_usage"],
        **appearance(
            group="focus",
            kinds={"polars", "focus"},
            stage="focus",
            schema=focus_table_schema(),
            lineage=column_lineage(FOCUS),
        ),
    )
    def focus_cost_and_usage(normalized_usage: Upstream, usage_totals: Upstream, catalog: Upstream) -> Days:
        """FOCUS cost and usage: what each customer used that day and what it costs, exactly.

        A day's cost is the price of the quantity to date minus the price of the quantity before, so days add up
        to the invoice line, whatever tiers they cross. Totals of earlier days are read strictly: one that is
        missing stops the run. Once a billing period has closed, its rows name their invoice, and what rounding the
        invoice's lines adds stands on the day each line ends. From then on they never change: what comes late, or is
        priced otherwise afterwards, is added as rows with the ChargeClass Correction. *Plots* below shows cost and rows
        by day; `cost_chart` of the newest day shows a month by service.
        """
        with explained():
            return Days(
                focus_cost_and_usage_days(
                    normalized_usage,
                    usage_totals,
                    catalog,
                    settings.start_date,
                    period_close(settings),
                    settings.late_usage,
                    settings.billing.contract_commitments,
                )
            )

    return focus_cost_and_usage
