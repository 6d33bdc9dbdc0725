"""A run that delivers: what is the same for all its deliveries, of whichever destination, month and dataset.

What belongs here: when, by whom, in whose name and with which keys. What does not: the steps of a delivery
(``deliver``) and what a destination asks for (``terms``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from focus_assets.delivery.ledger import Delivering
from focus_assets.delivery.metadata_files import Provider
from focus_assets.delivery.signature import Signer
from focus_assets.lake.store import ObjectStore, open_store
from focus_assets.settings import Destination

FOCUS_AS_IS: Final = Provider()

OpenDestination = Callable[[Destination], ObjectStore]
"""Opens a destination's store; replaced where credentials come from elsewhere than the environment."""


def open_destination(destination: Destination) -> ObjectStore:
    """The destination's store, with credentials from the environment."""
    return open_store(destination.url, destination.options)


@dataclass(frozen=True)
class DeliveryRun:
    """How a run delivers.

    ``now`` goes into manifests; the same lake at the same instant gives the same bytes. ``since`` is the first day of
    all: a month that has days before those held is not whole without them. ``opener`` opens destinations' stores,
    ``provider`` is named in the FOCUS metadata. ``signer`` signs manifests, also where the same one stands unsigned.
    The ledger says that ``run_id`` delivered, and when by the clock.
    """

    now: dt.datetime
    since: dt.date | None = None
    opener: OpenDestination = open_destination
    provider: Provider = FOCUS_AS_IS
    signer: Signer | None = None
    run_id: str | None = None

    def begins(self) -> Delivering | None:
        """A delivery that this run begins now, for the ledger; None for a run without a name."""
        return None if self.run_id is None else Delivering(self.run_id, dt.datetime.now(dt.UTC))
