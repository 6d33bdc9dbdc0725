"""The same tests run on a folder and on buckets of S3, Google Cloud Storage and Azure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from focus_assets.lake import Lake, ObjectStore, open_store
from focus_assets_tests.azure_server import AzureContainer
from focus_assets_tests.gcs_server import GcsBucket
from focus_assets_tests.s3_server import S3Bucket

Place = tuple[str, dict[str, str]]


@pytest.fixture(
    params=[
        "folder",
        pytest.param("s3", marks=pytest.mark.s3),
        "gcs",
        pytest.param("azure", marks=pytest.mark.azure),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """URL and options of an empty store."""
    if request.param == "folder":
        return str(tmp_path / "store"), {}
    if request.param == "gcs":
        google: GcsBucket = request.getfixturevalue("gcs_bucket")
        return f"{google.url}/some/prefix", google.server.options
    if request.param == "azure":
        container: AzureContainer = request.getfixturevalue("azure_container")
        return f"{container.url}/some/prefix", container.options
    bucket: S3Bucket = request.getfixturevalue("s3_bucket")
    return f"{bucket.url}/some/prefix", bucket.options


@pytest.fixture
def store(place: Place) -> ObjectStore:
    """An empty store."""
    return open_store(*place)


@pytest.fixture
def open_lake(place: Place) -> Callable[[], Lake]:
    """Open the same lake anew, as another process would."""
    return lambda: Lake.open(place[0], options=place[1])


@pytest.fixture
def lake(open_lake: Callable[[], Lake]) -> Lake:
    """An empty lake."""
    return open_lake()
