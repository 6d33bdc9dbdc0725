"""``focus_cost_and_usage``: FOCUS charges of a day."""

import dagster as dg

from focus_assets.chain import Upstream, focus_cost_and_usage_days
from focus_assets.orchestration.assets.common import OWNERS, by_day
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.focus_metadata import column_lineage, focus_table_schema
from focus_assets.settings import Settings


def focus_cost_and_usage_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_cost_and_usage``."""

    @dg.asset(
        **by_day(settings),
        # No cost is computed before every window is known to be either rated or listed as unbilled.
        deps=["unbilled_usage"],
        group_name="focus",
        kinds={"parquet", "polars", "focus"},
        owners=OWNERS,
        tags={"focus_assets/stage": "focus"},
        metadata={
            "dagster/column_schema": focus_table_schema(),
            "dagster/column_lineage": column_lineage(),
            "grain": "charge × price component × dimensions × day",
        },
    )
    def focus_cost_and_usage(normalized_usage: Upstream, usage_totals: Upstream, catalog: Upstream) -> Days:
        """FOCUS cost and usage: one row per charge, price component, dimensions and day, with exact costs.

        A day's charge is the rating of the quantity to date minus the rating of what came before, so days add up
        to the invoice line. Earlier totals are read strictly: a day that is missing stops the run.
        """
        with explained():
            return Days(
                focus_cost_and_usage_days(normalized_usage, usage_totals, catalog, settings.start_date)
            )

    return focus_cost_and_usage
