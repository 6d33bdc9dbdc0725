"""What a destination asks for, as far as it changes what is delivered, and where that lies.

What belongs here: digests and layouts of destinations and manifests. What does not: when to deliver.
"""

from __future__ import annotations

import hashlib
from typing import Any

from focus_assets.delivery.layout import COST_AND_USAGE, Layout, layout_of
from focus_assets.delivery.manifest import Manifest, canonical_json
from focus_assets.settings import CustomersByLabel, Destination


def asked_terms(destination: Destination) -> str:
    """A digest of what is asked for, without the URL; keys, columns and labels in any order are the same."""
    asked = destination.customers
    customers: Any = asked
    if isinstance(asked, CustomersByLabel):
        customers = {"labels": dict(asked.labels)}
    elif asked != "all":
        customers = sorted(set(asked))
    terms = {
        "customers": customers,
        "version": destination.focus_version,
        "columns": sorted(destination.columns),
        "partial": destination.partial,
        "format": destination.format,
        "compression": destination.packed,
        "layout": destination.layout,
        "mode": destination.mode,
        "dimensions": dict(destination.dimensions),
    }
    if destination.tags:
        terms["tags"] = dict(destination.tags)
    return hashlib.sha256(canonical_json(terms)).hexdigest()


def layout_for(destination: Destination, dataset: str = COST_AND_USAGE) -> Layout:
    """Where files of a destination's dataset lie."""
    return layout_of(destination.layout, destination.name, dataset)


def place_of(manifest: Manifest) -> Layout:
    """Where files of a delivery lie."""
    return layout_of(manifest.layout, manifest.destination, manifest.dataset)
