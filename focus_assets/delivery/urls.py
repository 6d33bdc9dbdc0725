"""Which URLs a destination may have: none that leave their folder, carry a secret, or meet the lake.

What belongs here: rules on URLs alone. What does not: whether the store behind one answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from focus_assets.delivery.errors import DestinationError
from focus_assets.lake.errors import StoreError
from focus_assets.lake.urls import ALLOWED, FolderLocation, parse_url
from focus_assets.settings import Destination

_AMBIGUOUS: Final = "%?#\\"


def check_destinations(lake_url: str, destinations: Sequence[Destination]) -> None:
    """Raise :class:`DestinationError` for the first URL that is unsafe, in the lake, or used twice."""
    lake = _place(lake_url)
    owner: dict[tuple[str, ...], str] = {}
    for destination in destinations:
        _require_plain(destination)
        place = _place(destination.url)
        if place[: len(lake)] == lake:
            raise _refused(destination, f"{destination.url} lies in the lake's own folder; deliver elsewhere")
        if (other := owner.setdefault(place, destination.name)) != destination.name:
            raise _refused(
                destination,
                f"{destination.url} is also the URL of {other}; give each a folder or prefix of its own",
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


def _place(url: str) -> tuple[str, ...]:
    """Scheme and path parts; for a folder those of its real path, so that a link is not a way round."""
    location = parse_url(url)
    if isinstance(location, FolderLocation):
        return ("file", *location.root.resolve().parts)
    return (location.scheme, location.bucket, *(part for part in location.prefix.split("/") if part))


def _refused(destination: Destination, what: str) -> DestinationError:
    return DestinationError(f"destination {destination.name}: {what}. Nothing was delivered to it.")
