from __future__ import annotations

import hashlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from focus_assets.lake import ConditionFailed, ObjectNotFound, ObjectStore, StoreError, open_store
from focus_assets_tests.s3_server import S3Bucket, S3Server


def test_what_was_put_is_read_back_with_the_same_etag(store: ObjectStore) -> None:
    etag = store.put("a/b.json", b"one")
    found = store.read("a/b.json")
    assert found is not None
    assert (found.data, found.etag) == (b"one", etag)
    info = store.head("a/b.json")
    assert info is not None
    assert (info.path, info.size, info.etag) == ("a/b.json", 3, etag)


def test_what_is_not_there_is_none_or_a_named_error(store: ObjectStore) -> None:
    assert store.read("a") is None
    assert store.get_or_none("a") is None
    assert store.head("a") is None
    assert not store.exists("a")
    assert list(store.list()) == []
    assert list(store.list("nothing/here")) == []
    store.delete("a")
    with pytest.raises(ObjectNotFound, match="no object 'a/b'"):
        store.get("a/b")


def test_an_object_is_created_only_once(store: ObjectStore) -> None:
    store.put("lock", b"first", if_absent=True)
    with pytest.raises(ConditionFailed, match="lock"):
        store.put("lock", b"second", if_absent=True)
    assert store.get("lock") == b"first"


def test_of_many_that_create_the_same_object_one_wins(store: ObjectStore) -> None:
    def create(number: int) -> bool:
        try:
            store.put("race", str(number).encode(), if_absent=True)
        except ConditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_of_many_that_replace_the_same_version_one_wins(store: ObjectStore) -> None:
    seen = store.put("race", b"start")

    def replace(number: int) -> bool:
        try:
            store.put("race", str(number).encode(), if_match=seen)
        except ConditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(replace, range(16))) == 1


def test_a_version_that_is_gone_cannot_be_replaced(store: ObjectStore) -> None:
    seen = store.put("a", b"1")
    store.delete("a")
    with pytest.raises(ConditionFailed):
        store.put("a", b"2", if_match=seen)
    assert not store.exists("a")


def test_a_large_file_goes_there_and_back(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(
        b"".join(hashlib.sha256(bytes([i % 251, i // 251])).digest() * 4096 for i in range(100))
    )
    assert source.stat().st_size > 12 * 2**20
    etag = store.put_file("large", source)
    store.download("large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    info = store.head("large")
    assert info is not None
    assert (info.size, info.etag) == (source.stat().st_size, etag)
    with pytest.raises(ConditionFailed):
        store.put_file("large", source, if_absent=True)
    store.put_file("other", source, if_absent=True)
    assert b"".join(store.chunks("other")) == source.read_bytes()


@pytest.mark.s3
def test_a_file_of_more_than_100_mb_goes_up_in_parts_and_comes_back(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    store = open_store(f"{s3_bucket.url}/some/prefix", s3_bucket.options)
    source = tmp_path / "source"
    # Nothing that could be packed, and no two parts alike.
    block = random.Random(6).randbytes(2**20)
    digest = hashlib.sha256()
    with source.open("wb") as out:
        for n in range(101):
            part = n.to_bytes(4) + block[n:]
            digest.update(part)
            out.write(part)
    size = source.stat().st_size
    assert size > 100 * 10**6

    etag = store.put_file("large", source)

    # An object that came in parts has how many in its etag.
    assert int(etag.strip('"').rpartition("-")[2]) > 10
    listed = [(info.path, info.size, info.etag) for info in store.list()]
    assert listed == [("large", size, etag)]
    back = hashlib.sha256()
    for chunk in store.chunks("large"):
        back.update(chunk)
    assert back.digest() == digest.digest()


def test_a_service_that_hangs_up_before_it_read_the_body_has_refused_the_condition(hanging_up: str) -> None:
    """As versitygw does, and any proxy may: 412 while the body is on its way arrives as a reset."""
    store = open_store(
        "s3://bucket", {"endpoint": hanging_up, "access_key_id": "k", "secret_access_key": "s"}
    )

    with pytest.raises(ConditionFailed, match="already has another object 'taken'"):
        store.put("taken", b"-", if_absent=True)
    with pytest.raises(ConditionFailed, match="already has another object 'taken'"):
        store.put("taken", b"-", if_match='"older"')
    with pytest.raises(StoreError, match="Check the endpoint"):
        store.put("taken", b"-", if_match='"current"')
    with pytest.raises(StoreError, match="Check the endpoint"):
        store.put("free", b"-", if_absent=True)


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """An S3 endpoint that resets every PUT and has one object, ``taken``, of etag ``current``."""

    class Service(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def do_HEAD(self) -> None:
            self.send_response(200 if self.path.endswith("/taken") else 404)
            self.send_header("ETag", '"current"')
            self.send_header("Last-Modified", "Sat, 01 Aug 2026 00:00:00 GMT")
            self.send_header("Content-Length", "1")
            self.end_headers()

        def do_GET(self) -> None:
            listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(listing)))
            self.end_headers()
            self.wfile.write(listing)

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_failed_download_leaves_no_file(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFound):
        store.download("absent", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_listing_is_sorted_and_keeps_to_its_folder(store: ObjectStore) -> None:
    for path in ("b/2", "b/10", "bc/1", "a", "b/x/y"):
        store.put(path, b"-")
    assert [info.path for info in store.list()] == ["a", "b/10", "b/2", "b/x/y", "bc/1"]
    assert [info.path for info in store.list("b")] == ["b/10", "b/2", "b/x/y"]
    assert [info.path for info in store.list("b/")] == ["b/10", "b/2", "b/x/y"]
    store.delete("b/2")
    assert [(info.path, info.size) for info in store.list("b")] == [("b/10", 1), ("b/x/y", 1)]


def test_names_with_spaces_and_signs_stay_as_they_are(store: ObjectStore) -> None:
    path = "x=1/näme with [brackets] & 50%"
    store.put(path, b"-")
    assert [info.path for info in store.list()] == [path]
    assert store.get(path) == b"-"


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/x", "", "a//b", "a/", ".", "a\\b", "a\nb", "a\0b"]
)
def test_a_path_never_leaves_its_store(store: ObjectStore, path: str) -> None:
    for attempt in (
        lambda: store.put(path, b"-"),
        lambda: store.get(path),
        lambda: store.exists(path),
        lambda: store.delete(path),
    ):
        with pytest.raises(ValueError, match="is no path inside a store"):
            attempt()


@pytest.mark.s3
def test_a_bucket_that_does_not_exist_is_said_so_and_never_created(s3_server: S3Server) -> None:
    store = open_store("s3://no-such-bucket-here/x", s3_server.options)
    for attempt in (
        lambda: store.get_or_none("a"),
        lambda: store.head("a"),
        lambda: list(store.list()),
        lambda: store.put("a", b"-"),
    ):
        with pytest.raises(StoreError, match="bucket 'no-such-bucket-here' does not exist"):
            attempt()


@pytest.mark.s3
def test_a_bucket_that_refuses_is_an_error_without_secrets(s3_bucket: S3Bucket) -> None:
    if s3_bucket.server.kind == "versitygw":
        options = s3_bucket.options | {"secret_access_key": "not-the-secret"}
    else:  # moto checks no signatures, but it does enforce a policy
        policy = (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*",'
            f'"Resource":["arn:aws:s3:::{s3_bucket.name}/*"]}}]}}'
        )
        s3_bucket.server.client().put_bucket_policy(Bucket=s3_bucket.name, Policy=policy)
        options = s3_bucket.options
    store = open_store(s3_bucket.url, options)
    for attempt in (lambda: store.get("a"), lambda: store.put("a", b"-")):
        with pytest.raises(StoreError, match=r"refuses these credentials.*AWS_ACCESS_KEY_ID") as raised:
            attempt()
        assert options["secret_access_key"] not in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.s3
def test_keys_may_come_from_a_provider(s3_bucket: S3Bucket) -> None:
    calls = []

    def provide() -> dict[str, object]:
        calls.append(1)
        return {
            "access_key_id": s3_bucket.options["access_key_id"],
            "secret_access_key": s3_bucket.options["secret_access_key"],
            "expires_at": None,
        }

    where = {key: s3_bucket.options[key] for key in ("endpoint", "region")}
    open_store(s3_bucket.url, where, provide).put("a", b"-")
    assert calls


@pytest.mark.s3
def test_keys_and_endpoint_come_from_the_environment(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    open_store(s3_bucket.url).put("a", b"-")
    assert open_store(s3_bucket.url, s3_bucket.options).exists("a")


def test_a_server_that_does_not_answer_is_an_error() -> None:
    options = {"endpoint": "http://127.0.0.1:9", "access_key_id": "k", "secret_access_key": "s"}
    with pytest.raises(StoreError, match="Check the endpoint"):
        open_store("s3://bucket", options).get("a")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(StoreError, match=r"'colour'.*endpoint, region"):
        open_store("s3://bucket", {"colour": "red"})
