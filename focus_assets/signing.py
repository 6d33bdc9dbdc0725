"""What signs manifests and notices: a key and secrets from the environment.

What belongs here: reading them where they are needed. What does not: signing (``delivery.signature``,
``delivery.notices``). They are in no configuration, no message and no representation of anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from focus_assets.delivery.notices import Unsent, owed, send
from focus_assets.delivery.signature import SIGNING_KEY, Signer
from focus_assets.lake import Lake
from focus_assets.settings import Destination


def signer_from_environment() -> Signer | None:
    """The signer of the key in $FOCUS_ASSETS_SIGNING_KEY; ``None`` where there is none.

    Raises:
        UnusableKey: what is there is no such key.
    """
    pem = os.environ.get(SIGNING_KEY, "")
    return Signer.from_pem(pem) if pem.strip() else None


def send_notices(lake: Lake, destinations: Sequence[Destination]) -> list[Unsent]:
    """Send every notice that is owed, signed with the secrets that destinations name; returns what was not taken."""
    return send(lake, owed(lake, destinations), os.environ)
