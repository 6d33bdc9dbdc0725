"""``focus_contract_commitment``: what customers committed to."""

import dagster as dg

from focus_assets.billing.datasets import CONTRACT_COMMITMENTS
from focus_assets.billing_stages import focus_contract_commitment_days, period_close
from focus_assets.chain import Upstream
from focus_assets.orchestration.assets.common import by_day, looks
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.settings import Settings


def focus_contract_commitment_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset ``focus_contract_commitment``."""

    @dg.asset(
        **by_day(settings),
        **looks(CONTRACT_COMMITMENTS, group="billing", kinds={"polars", "focus"}, stage="billing"),
    )
    def focus_contract_commitment(catalog: Upstream) -> Days:
        """FOCUS Contract Commitment: what customers committed to spend, from the minimums of their prices.

        Empty unless `billing.contract_commitments` is set: FOCUS requires more of a commitment than a price says.
        """
        with explained():
            return Days(focus_contract_commitment_days(catalog, period_close(settings), settings.billing))

    return focus_contract_commitment
