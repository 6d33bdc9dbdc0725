"""The assets of the chain, one file each."""

from __future__ import annotations

import dagster as dg

from focus_assets.billing.datasets import BILLING_DATASETS
from focus_assets.datasets import USAGE_DATASETS
from focus_assets.orchestration.assets.all_deliveries import all_deliveries_asset, one_for_all
from focus_assets.orchestration.assets.catalog import catalog_asset
from focus_assets.orchestration.assets.closed_periods import closed_periods_asset
from focus_assets.orchestration.assets.common import with_grain
from focus_assets.orchestration.assets.focus_billing_period import focus_billing_period_asset
from focus_assets.orchestration.assets.focus_contract_commitment import focus_contract_commitment_asset
from focus_assets.orchestration.assets.focus_cost_and_usage import FOCUS_GRAIN, focus_cost_and_usage_asset
from focus_assets.orchestration.assets.focus_export import focus_export_asset
from focus_assets.orchestration.assets.focus_invoice_detail import focus_invoice_detail_asset
from focus_assets.orchestration.assets.focus_price_list import focus_price_list_asset
from focus_assets.orchestration.assets.normalized_usage import normalized_usage_asset
from focus_assets.orchestration.assets.raw_usage import raw_usage_asset
from focus_assets.orchestration.assets.unbilled_usage import unbilled_usage_asset
from focus_assets.orchestration.assets.usage_totals import usage_totals_asset
from focus_assets.settings import Settings


def usage_chain(settings: Settings) -> list[dg.AssetsDefinition]:
    """Every asset that is partitioned by day, in the order of the chain."""
    grains = {dataset.name: dataset.grain for dataset in (*USAGE_DATASETS, *BILLING_DATASETS)} | FOCUS_GRAIN
    chain = [
        catalog_asset(settings),
        raw_usage_asset(settings),
        normalized_usage_asset(settings),
        usage_totals_asset(settings),
        unbilled_usage_asset(settings),
        focus_cost_and_usage_asset(settings),
        focus_price_list_asset(settings),
        focus_billing_period_asset(settings),
        focus_invoice_detail_asset(settings),
        focus_contract_commitment_asset(settings),
        closed_periods_asset(settings),
    ]
    return [with_grain(asset, grains) for asset in chain]


def exports(settings: Settings) -> list[dg.AssetsDefinition]:
    """The deliveries: an asset for each destination, or one for all of very many; none where there is none."""
    if not settings.destinations:
        return []
    return [all_deliveries_asset(settings) if one_for_all(settings) else focus_export_asset(settings)]
