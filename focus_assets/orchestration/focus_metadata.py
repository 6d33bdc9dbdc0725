"""FOCUS columns in the UI: schema with levels and definitions, and lineage back to usage."""

from __future__ import annotations

import dagster as dg

from focus_assets.focus.columns import columns, own_columns

_LINEAGE: dict[str, tuple[tuple[str, str], ...]] = {
    "BilledCost": (("normalized_usage", "quantity"), ("usage_totals", "quantity"), ("catalog", "document")),
    "EffectiveCost": (
        ("normalized_usage", "quantity"),
        ("usage_totals", "quantity"),
        ("catalog", "document"),
    ),
    "ListCost": (("normalized_usage", "quantity"), ("usage_totals", "quantity"), ("catalog", "document")),
    "ContractedCost": (
        ("normalized_usage", "quantity"),
        ("usage_totals", "quantity"),
        ("catalog", "document"),
    ),
    "ConsumedQuantity": (("normalized_usage", "quantity"), ("usage_totals", "quantity_to_date")),
    "PricingQuantity": (("normalized_usage", "quantity"), ("usage_totals", "quantity_to_date")),
    "ConsumedUnit": (("normalized_usage", "unit"),),
    "BillingAccountId": (("normalized_usage", "customer"), ("catalog", "document")),
    "BillingAccountName": (("catalog", "document"),),
    "SubAccountId": (("normalized_usage", "subject"),),
    "SubAccountName": (("normalized_usage", "subject"),),
    "RegionId": (("normalized_usage", "dimensions"), ("catalog", "document")),
    "RegionName": (("normalized_usage", "dimensions"), ("catalog", "document")),
    "ResourceId": (("normalized_usage", "dimensions"), ("catalog", "document")),
    "Tags": (("normalized_usage", "dimensions"),),
    "ServiceName": (("catalog", "document"),),
    "ServiceCategory": (("catalog", "document"),),
    "ServiceSubcategory": (("catalog", "document"),),
    "SkuId": (("catalog", "document"), ("normalized_usage", "dimensions")),
    "SkuPriceId": (("catalog", "document"), ("normalized_usage", "dimensions")),
    "ListUnitPrice": (("catalog", "document"),),
    "ContractedUnitPrice": (("catalog", "document"),),
    "BillingPeriodStart": (("catalog", "document"),),
    "BillingPeriodEnd": (("catalog", "document"),),
    "ChargePeriodStart": (("usage_totals", "charge_from"),),
    "ChargePeriodEnd": (("usage_totals", "charge_to"),),
    "x_ChargeId": (("usage_totals", "charge_id"),),
    "x_CustomerKey": (("usage_totals", "customer"),),
    "x_MeterSlug": (("usage_totals", "meter"),),
}


def focus_table_schema() -> dg.TableSchema:
    """Every stored FOCUS column with its type, level and definition."""
    listed = []
    for column in (*columns(), *own_columns()):
        levels = ", ".join(f"{version}: {level}" for version, level in column.levels.items())
        listed.append(
            dg.TableColumn(
                column.id,
                type=str(column.dtype),
                description=column.definition + (f" ({levels})" if levels else ""),
                constraints=dg.TableColumnConstraints(nullable=not column.levels or bool(column.nulls_in)),
            )
        )
    return dg.TableSchema(columns=listed)


def column_lineage() -> dg.TableColumnLineage:
    """Which usage and catalog columns a FOCUS column is computed from."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(asset), source) for asset, source in sources]
            for column, sources in _LINEAGE.items()
        }
    )
