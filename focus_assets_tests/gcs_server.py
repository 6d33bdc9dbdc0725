"""A stand-in for Google Cloud Storage on loopback, and buckets in it.

It plays the XML API, which is what obstore speaks: objects with generations, preconditions
(``x-goog-if-generation-match``), listings in pages, uploads in parts. A mock proves less than a server, but
fake-gcs-server, the one there is, takes no plain uploads by that API (1.56.1 answers 400 *invalid uploadType*).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

TOKEN = "token-of-the-tests"
_PAGE = 1000
_MATCH = "x-goog-if-generation-match"


@dataclass(frozen=True)
class _Object:
    data: bytes
    generation: int
    at: dt.datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": self.etag,
            "x-goog-generation": str(self.generation),
            "Last-Modified": f"{self.at:%a, %d %b %Y %H:%M:%S} GMT",
        }


@dataclass
class GcsServer:
    """The server's buckets; one lock makes what it does to an object one step."""

    endpoint: str = ""
    buckets: dict[str, dict[str, _Object]] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    generation: int = 1_700_000_000_000_000
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to reach another address than Google's, and a token in the place of a service account."""
        return {"GOOGLE_BASE_URL": self.endpoint, "GOOGLE_BEARER_TOKEN": TOKEN}

    @property
    def options(self) -> dict[str, str]:
        """The same as options of :func:`focus_assets.lake.open_store`."""
        return {"endpoint": self.endpoint, "bearer_token": TOKEN}

    def store(self, bucket: str, path: str, data: bytes, match: str | None) -> _Object | None:
        """The object put, or None where its precondition does not hold."""
        with self.lock:
            held = self.buckets[bucket].get(path)
            if match is not None and int(match) != (0 if held is None else held.generation):
                return None
            self.generation += 1
            found = _Object(data, self.generation, dt.datetime.now(dt.UTC))
            self.buckets[bucket][path] = found
            return found

    def listing(self, bucket: str, prefix: str, after: str) -> str:
        """A page of the objects below ``prefix``."""
        with self.lock:
            found = sorted(
                (p, o) for p, o in self.buckets[bucket].items() if p.startswith(prefix) and p > after
            )
        page = found[:_PAGE]
        more = (
            f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if found[_PAGE:] else ""
        )
        contents = "".join(
            f"<Contents><Key>{escape(path)}</Key><Generation>{each.generation}</Generation><Size>{len(each.data)}</Size><ETag>{each.etag}</ETag>"
            f"<LastModified>{each.at:%Y-%m-%dT%H:%M:%S.%fZ}</LastModified></Contents>"
            for path, each in page
        )
        return f"<ListBucketResult>{contents}{more}</ListBucketResult>"


@dataclass(frozen=True)
class GcsBucket:
    """An empty bucket of its own for one test."""

    server: GcsServer
    name: str

    @property
    def url(self) -> str:
        """``gs://<name>``."""
        return f"gs://{self.name}"


def _service(server: GcsServer) -> type[BaseHTTPRequestHandler]:
    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _asked(self) -> tuple[str, str, dict[str, str], bytes]:
            parts = urlsplit(self.path)
            bucket, _, path = parts.path.lstrip("/").partition("/")
            query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            return (
                unquote(bucket),
                unquote(path),
                query,
                self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )

        def _answer(self, status: int, text: str | bytes = b"", **headers: str) -> None:
            body = text.encode() if isinstance(text, str) else text
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _may(self, bucket: str) -> bool:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, "<Error><Code>AuthenticationRequired</Code></Error>")
            elif bucket not in server.buckets:
                self._answer(404, "<Error><Code>NoSuchBucket</Code></Error>")
            else:
                return True
            return False

        def do_PUT(self) -> None:
            bucket, path, query, data = self._asked()
            if not self._may(bucket):
                return
            if "uploadId" in query:
                server.parts[query["uploadId"]][int(query["partNumber"])] = data
                self._answer(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')
                return
            self._stored(server.store(bucket, path, data, self.headers.get(_MATCH)))

        def _stored(self, found: _Object | None, text: str = "") -> None:
            if found is None:
                self._answer(412, "<Error><Code>PreconditionFailed</Code></Error>")
            else:
                self._answer(200, text, **found.headers)

        def do_POST(self) -> None:
            bucket, path, query, _ = self._asked()
            if not self._may(bucket):
                return
            if "uploads" in query:
                upload = uuid.uuid4().hex
                server.parts[upload] = {}
                said = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
                self._answer(200, said)
                return
            parts = server.parts.pop(query["uploadId"])
            found = server.store(bucket, path, b"".join(parts[n] for n in sorted(parts)), None)
            etag = "" if found is None else escape(found.etag)
            self._stored(
                found, f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
            )

        def do_GET(self) -> None:
            bucket, path, query, _ = self._asked()
            if not self._may(bucket):
                return
            if not path:
                after = query.get("continuation-token", "")
                self._answer(200, server.listing(bucket, query.get("prefix", ""), after))
                return
            found = server.buckets[bucket].get(path)
            if found is None:
                self._answer(404, "<Error><Code>NoSuchKey</Code></Error>")
            else:
                self._answer(200, found.data, **found.headers)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            bucket, path, query, _ = self._asked()
            if not self._may(bucket):
                return
            if "uploadId" in query:
                server.parts.pop(query["uploadId"], None)
            elif server.buckets[bucket].pop(path, None) is None:
                self._answer(404, "<Error><Code>NoSuchKey</Code></Error>")
                return
            self._answer(204)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Service


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """The stand-in, until the session ends."""
    server = GcsServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _service(server)) as running:
        server.endpoint = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield server
        running.shutdown()
        thread.join()


@pytest.fixture
def gcs_bucket(gcs_server: GcsServer) -> GcsBucket:
    """A new, empty bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    gcs_server.buckets[name] = {}
    return GcsBucket(gcs_server, name)
