"""A bucket of Google Cloud Storage or a container of Azure, reached as a person sets it up."""

from __future__ import annotations

import pytest

from focus_assets_tests.azure_server import AzureContainer
from focus_assets_tests.gcs_server import GcsBucket


@pytest.fixture(params=["gcs", pytest.param("azure", marks=pytest.mark.azure)])
def bucket_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket or container; address and keys are in the environment."""
    if request.param == "gcs":
        google: GcsBucket = request.getfixturevalue("gcs_bucket")
        url, environment = google.url, google.server.environment
    else:
        container: AzureContainer = request.getfixturevalue("azure_container")
        url, environment = container.url, container.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return url
