"""Azurite, Microsoft's own emulator of Azure Blob Storage, on loopback for tests, and fresh containers in it.

Binary: ``AZURITE``, else ``azurite-blob`` in ``PATH``. Where there is none the tests marked ``azure`` are skipped, and
the closing summary says so.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import os
import shutil
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from focus_assets_tests.server_process import free_port, running

ACCOUNT = "focustests"
KEY = base64.b64encode(os.urandom(64)).decode()
"""The account that Azurite is started with, and its key: another one each time."""

_VERSION = "2021-12-02"


@dataclass(frozen=True)
class AzureContainer:
    """An empty container of its own for one test."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        """``az://<name>``."""
        return f"az://{self.name}"

    @property
    def options(self) -> dict[str, str]:
        """What :func:`focus_assets.lake.open_store` needs to reach it."""
        return {"endpoint": self.endpoint, "account_name": ACCOUNT, "account_key": KEY}

    @property
    def environment(self) -> dict[str, str]:
        """The same as a user sets it."""
        return {
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        }


def binary() -> str | None:
    """Where Azurite is, if it is anywhere."""
    return os.environ.get("AZURITE") or shutil.which("azurite-blob")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say whether the tests marked ``azure`` ran."""
    said = (
        "Azurite"
        if binary()
        else "none, its tests are skipped (npm install azurite; AZURITE names azurite-blob)"
    )
    terminalreporter.write_line(f"Azure server: {said}; GCS server: a mock")


@pytest.fixture(scope="session")
def azure_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an account on Azurite, which ends with the session."""
    found = binary()
    if found is None:
        pytest.skip("no azurite-blob in AZURITE or PATH; get it with: npm install azurite")
    folder = tmp_path_factory.mktemp("azurite")
    port = free_port()
    command = [found, "--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    # A later obstore may ask for a newer version of the API than Azurite knows; what it does is the same.
    command += ["--skipApiVersionCheck", "--location", str(folder)]
    account = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with running(command, folder / "log", account, lambda: _connect(port), (OSError,)):
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


@pytest.fixture
def azure_container(azure_endpoint: str) -> AzureContainer:
    """A new, empty container."""
    made = AzureContainer(azure_endpoint, f"test-{uuid.uuid4().hex[:12]}")
    urllib.request.urlopen(_creation(made), timeout=30).close()
    return made


def _creation(container: AzureContainer) -> urllib.request.Request:
    """The request that makes a container, signed with the account's key."""
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": _VERSION}
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    resource = f"/{ACCOUNT}/{ACCOUNT}/{container.name}\nrestype:container"
    # The verb, then the values of eleven headers that are not sent.
    text = "PUT" + "\n" * 12 + named + resource
    signature = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    headers["Content-Length"] = "0"
    url = f"{container.endpoint}/{container.name}?restype=container"
    return urllib.request.Request(url, method="PUT", headers=headers)


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
