"""A small configuration that loads; a test breaks it in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from focus_assets.settings import ConfigurationError, Settings
from focus_assets.settings.loading import load_text

TEXT = """\
start_date: 2026-08-01
defaults: {provider_name: Acme, currency: EUR, dimensions: {RegionId: null}}
meters:
  - slug: tokens
    event_type: prompt
    aggregation: SUM
    value_property: $.tokens
    group_by: {model: $.model}
features:
  - {key: tokens, meter: tokens}
customers:
  - {key: acme, subject_keys: [a, b]}
plans:
  - key: pro
    rate_cards:
      - feature: tokens
        price:
          type: tiered
          mode: graduated
          tiers:
            - {up_to_amount: 1000, unit_price: 0.1}
            - {unit_price: 1e-7}
subscriptions:
  - {customer: acme, plan: pro, active_from: 2026-08-15T13:22:07Z}
destinations:
  - {name: local, url: out, customers: [acme]}
"""

PATH = Path("/somewhere/focus.yaml")


def loaded(*changes: tuple[str, str]) -> Settings:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_text(text, PATH)


def refusal(*changes: tuple[str, str]) -> list[str]:
    """The lines of the message, without the file's name in front."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(*changes)
    return [line.removeprefix(f"{PATH}, ") for line in str(caught.value).splitlines()]
