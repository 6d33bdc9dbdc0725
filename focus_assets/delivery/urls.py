"""Which URLs a destination may have: none that leave their folder, carry a secret, or meet the lake.

What belongs here: rules on URLs alone. What does not: whether the store behind one answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from focus_assets.delivery.errors import DestinationError
from focus_assets.lake.errors import StoreError
from focus_assets.lake.urls import ALLOWED, meeting, parse_url, place_of
from focus_assets.settings import Destination

_AMBIGUOUS: Final = "%?#\\"


def check_destinations(lake_url: str, destinations: Sequence[Destination]) -> None:
    """Raise :class:`DestinationError` for the first URL that is unsafe, meets the lake, or meets another's."""
    lake = place_of(lake_url)
    places: dict[str, tuple[str, ...]] = {}
    for destination in destinations:
        _require_plain(destination)
        place = places[destination.name] = place_of(destination.url)
        if place[: len(lake)] == lake:
            raise _refused(destination, f"{destination.url} lies in the lake's own folder; deliver elsewhere")
        if lake[: len(place)] == place:
            raise _refused(
                destination,
                f"the lake, {lake_url}, lies in {destination.url}: who may read the destination could read the rows "
                "of all; deliver elsewhere",
            )
    known = {destination.name: destination for destination in destinations}
    for name, owner in meeting(places):
        url = known[name].url
        if places[name] == places[owner]:
            raise _refused(
                known[name], f"{url} is also the URL of {owner}; give each a folder or prefix of its own"
            )
        raise _refused(
            known[name],
            f"{url} lies in {known[owner].url} of destination {owner}: who may read that could read these rows; give "
            "each a folder or prefix beside the other's",
        )


def _require_plain(destination: Destination) -> None:
    url = destination.url
    try:
        parse_url(url)
    except StoreError as error:
        raise _refused(destination, str(error).rstrip(".")) from None
    path = url.partition("://")[2] or url
    if any(ord(letter) < 32 for letter in url):
        raise _refused(destination, f"its URL has control characters; allowed: {ALLOWED}")
    if ".." in unquote(path).replace("\\", "/").split("/"):
        raise _refused(destination, f"{url} has a '..' in its path; write the path out")
    if "://" in url and any(letter in path for letter in _AMBIGUOUS):
        # Stores and browsers disagree on what %2F or a backslash means in a key.
        raise _refused(destination, f"{url} has one of {' '.join(_AMBIGUOUS)}; allowed: {ALLOWED}")


def _refused(destination: Destination, what: str) -> DestinationError:
    return DestinationError(f"destination {destination.name}: {what}. Nothing was delivered to it.")
