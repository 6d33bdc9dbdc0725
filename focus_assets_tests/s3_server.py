"""An S3 server on loopback for tests, real or mocked, and fresh buckets in it.

``FOCUS_TEST_S3=versitygw`` starts versitygw's POSIX backend (binary: ``VERSITYGW``, else ``PATH``, else
``~/go/bin``); without it moto's server runs in this process. The closing summary says which of the two
it was, because a mock proves less: moto checks no signatures.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from focus_assets_tests.server_process import free_port, running

ACCESS_KEY = "focus-test"
SECRET_KEY = "focus-test-secret"
REGION = "us-east-1"
CHOICE = "FOCUS_TEST_S3"
KINDS = {"moto": "moto (a mock)", "versitygw": "versitygw"}


@dataclass(frozen=True)
class S3Server:
    """A running server; ``kind`` is ``versitygw`` or ``moto (a mock)``."""

    kind: str
    endpoint: str

    @property
    def options(self) -> dict[str, str]:
        """What :func:`focus_assets.lake.open_store` needs to reach it."""
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same for other processes, as variables."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ALLOW_HTTP": "true",
        }

    def client(self) -> Any:
        """A boto3 client of the server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"max_attempts": 1}, connect_timeout=2, s3={"addressing_style": "path"}),
        )


@dataclass(frozen=True)
class S3Bucket:
    """An empty bucket of its own for one test."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        """``s3://<name>``."""
        return f"s3://{self.name}"

    @property
    def options(self) -> dict[str, str]:
        """The server's options."""
        return self.server.options


def server_kind() -> str:
    """Which server :func:`s3_server` starts; an unknown choice is an error, never silently the mock."""
    choice = os.environ.get(CHOICE, "moto")
    if choice not in KINDS:
        raise pytest.UsageError(f"{CHOICE}={choice!r}: allowed are {' and '.join(KINDS)}")
    return choice


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which server the tests marked ``s3`` used; the header would be lost under ``-q``."""
    terminalreporter.write_line(f"s3 server: {KINDS[server_kind()]}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that ends with the session."""
    if server_kind() == "versitygw":
        with _versitygw(tmp_path_factory.mktemp("versitygw")) as server:
            yield server
    else:
        with _moto() as server:
            yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> S3Bucket:
    """A new, empty bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name)
    return S3Bucket(s3_server, name)


@contextmanager
def _moto() -> Iterator[S3Server]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(KINDS["moto"], f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def _versitygw(folder: Path) -> Iterator[S3Server]:
    port = free_port()
    data, metadata = folder / "data", folder / "metadata"
    data.mkdir()
    metadata.mkdir()
    # The sidecar holds what would be extended attributes, which not every filesystem of a test machine has.
    command = [_binary(), "--quiet", "--port", f"127.0.0.1:{port}"]
    command += ["posix", "--sidecar", str(metadata), str(data)]
    keys = {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
    server = S3Server(KINDS["versitygw"], f"http://127.0.0.1:{port}")
    with running(
        command, folder / "log", keys, lambda: server.client().list_buckets(), (BotoCoreError, ClientError)
    ):
        yield server


def _binary() -> str:
    given = os.environ.get("VERSITYGW")
    found = given or shutil.which("versitygw") or shutil.which("versitygw", path=Path.home() / "go" / "bin")
    if not found:
        raise pytest.UsageError(
            f"{CHOICE}=versitygw, but there is no versitygw in VERSITYGW, PATH or ~/go/bin; get it with: "
            "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"
        )
    return found
