"""What becomes of usage that comes after its period has closed, where nobody says it."""

from __future__ import annotations

import datetime as dt

import pytest

from focus_assets.catalog.snapshot import Catalog
from focus_assets.settings import BillingSettings, OpenMeterSettings, Settings
from focus_assets.settings.models import SourceSettings

CATALOG = Catalog.model_validate({"defaults": {"provider_name": "Test Vendor"}})
SERVER = SourceSettings(openmeter=OpenMeterSettings(url="http://localhost:8888"))


def settings(source: SourceSettings, late_usage: str | None) -> Settings:
    billing = BillingSettings.model_validate({"late_usage": late_usage})
    return Settings(start_date=dt.date(2026, 8, 1), catalog=CATALOG, source=source, billing=billing)


@pytest.mark.parametrize(
    ("source", "asked", "decided"),
    [
        (SourceSettings(), None, "rebilled"),
        (SERVER, None, "not_billed"),
        (SourceSettings(), "not_billed", "not_billed"),
        (SERVER, "rebilled", "rebilled"),
    ],
)
def test_own_invoices_bill_late_usage_and_openmeters_do_not_unless_it_is_said(
    source: SourceSettings, asked: str | None, decided: str
) -> None:
    assert settings(source, asked).late_usage == decided
