"""What the URL of a store may look like, and what it names.

What belongs here: reading ``file:``, ``s3:``, ``gs:`` and ``az:`` URLs and plain paths. What does not:
access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from focus_assets.lake.errors import StoreError
from focus_assets.lake.paths import object_path

REMOTE_SCHEMES: Final = ("s3", "gs", "az")
ALLOWED: Final = "a folder, file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"

_SCHEMES: Final = (*REMOTE_SCHEMES, "file", "http", "https", "s3a", "gcs", "abfs", "abfss", "wasbs")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.IGNORECASE)


@dataclass(frozen=True)
class FolderLocation:
    """A folder of this machine, absolute."""

    root: Path

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)


@dataclass(frozen=True)
class BucketLocation:
    """A bucket (or Azure container) and the prefix below which a store's paths begin; ``''`` for none."""

    scheme: str
    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """``scheme://bucket/prefix`` without a slash at the end."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def lacks_slashes(url: str) -> bool:
    """Whether ``url`` begins as a URL does and is none: ``s3:/bucket`` or ``s3:bucket``, which are no folders."""
    return url.partition(":")[0].lower() in _SCHEMES and ":" in url and "://" not in url


def parse_url(url: str) -> FolderLocation | BucketLocation:
    """What ``url`` names.

    Raises:
        StoreError: an unknown scheme, or a URL with credentials, a query or a prefix that leaves the bucket.
            The text of a URL that may hold credentials is not repeated.
    """
    if not url.strip():
        raise StoreError(f"The URL of a store is empty; allowed: {ALLOWED}.")
    scheme, separator, _ = url.partition("://")
    if not separator:
        if url.startswith("file:"):
            raise StoreError(f"{url!r}: a file URL has three slashes, as in file:///var/lake.")
        if lacks_slashes(url):
            # Taken for a folder, a bucket's files would go to this machine and nobody would miss them.
            raise StoreError(f"{url!r}: a URL has two slashes after its scheme; allowed: {ALLOWED}.")
        return FolderLocation(Path(url).expanduser().absolute())
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise StoreError(
            f"A {scheme}:// URL holds credentials. Take them out of the URL and give them in the environment."
        )
    if parts.query or parts.fragment:
        raise StoreError(f"A {scheme}:// URL has a '?' or '#' part; only bucket and prefix are allowed.")
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise StoreError(f"{url!r} names the machine {parts.netloc!r}; a file URL is file:///folder.")
        return FolderLocation(Path(unquote(parts.path)).absolute())
    if scheme not in REMOTE_SCHEMES:
        raise StoreError(f"{url!r}: stores of the scheme {scheme!r} are not supported; allowed: {ALLOWED}.")
    if not _BUCKET.fullmatch(parts.netloc):
        raise StoreError(f"{url!r}: {parts.netloc!r} is no bucket name; allowed: {scheme}://bucket/prefix.")
    prefix = parts.path.strip("/")
    try:
        return BucketLocation(scheme, parts.netloc, object_path(prefix) if prefix else "")
    except ValueError as error:
        raise StoreError(f"{url!r}: {error}.") from error


def place_of(url: str) -> tuple[str, ...]:
    """Scheme and path parts of what ``url`` names; for a folder those of its real path, so that a link is no way round.

    Raises:
        StoreError: as :func:`parse_url`.
    """
    location = parse_url(url)
    if isinstance(location, FolderLocation):
        try:
            return ("file", *location.root.resolve().parts)
        except (OSError, RuntimeError) as error:
            # A folder that must not be looked into; a link that leads to itself.
            raise StoreError(f"{url!r} leads nowhere: {error}.") from error
    return (location.scheme, location.bucket, *(part for part in location.prefix.split("/") if part))


def meeting(places: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Of named places those that lie in another or are the same, each with the name of that other."""
    owners: dict[tuple[str, ...], str] = {}
    for name, place in places.items():
        owners.setdefault(place, name)
    for name, place in places.items():
        for length in range(len(place), 0, -1):
            owner = owners.get(place[:length])
            if owner is not None and owner != name:
                yield name, owner
                break
