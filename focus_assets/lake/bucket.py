"""A store in a bucket, through obstore: S3, Google Cloud Storage and Azure behind one interface.

What belongs here: options, and turning the service's refusals into advice. What does not: lakes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from focus_assets.lake.errors import AnswerCutShort, ConditionFailed, ObjectNotFound, StoreError
from focus_assets.lake.paths import object_path
from focus_assets.lake.store import ObjectInfo, ObjectStore, StoredObject, read_whole
from focus_assets.lake.urls import BucketLocation

_CLIENT_OPTIONS: Final = ("allow_http", "timeout", "connect_timeout", "proxy_url", "root_certificate")
_ALIASES: Final = {"endpoint_url": "endpoint", "aws_endpoint_url": "endpoint", "aws_endpoint": "endpoint"}
_ENDPOINT: Final = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}
"""What obstore calls the address of a service that is not the cloud's own."""

_ENDPOINT_VARIABLES: Final = {
    "s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_RETRIES: Final = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_CUT_SHORT: Final = "response body error"
"""How obstore says that an answer began and did not end."""

_NO_KEYS: Final = "External AWS credential provider: StoreError: "
"""How obstore says that whoever was to give keys gave none; why follows."""

_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a profile or role)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


class BucketStore(ObjectStore):
    """Objects below a prefix of a bucket. The bucket must exist; it is never created here."""

    def __init__(
        self,
        location: BucketLocation,
        options: Mapping[str, str],
        credential_provider: Callable[[], Any] | None,
    ) -> None:
        self.url = location.url
        self._location = location
        self._bucket_seen = False
        config, client = _split(location.scheme, options)
        self._endpoint = config.get(_ENDPOINT[location.scheme], "")
        arguments: dict[str, Any] = {
            "prefix": location.prefix or None,
            "config": config or None,
            "client_options": client,
            "retry_config": _RETRIES,
        }
        if credential_provider is not None:
            arguments["credential_provider"] = credential_provider
        kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
        with self._mended("open", ""):
            self._store = kinds[location.scheme](location.bucket, **arguments)

    @property
    def identity(self) -> str:
        return f"{self._endpoint} {self.url}"

    @property
    def local_root(self) -> None:
        return None

    def read(self, path: str) -> StoredObject | None:
        return read_whole(lambda: self._read(path))

    def _read(self, path: str) -> StoredObject | None:
        with self._mended("read", path):
            try:
                answer = obstore.get(self._store, object_path(path))
                data = bytes(answer.bytes())
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None
            return StoredObject(data, self._version(dict(answer.meta)))

    def put(self, path: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        return self._put(path, data, if_absent=if_absent, if_match=if_match)

    def put_file(self, path: str, local_path: Path, *, if_absent: bool = False) -> str:
        return self._put(path, local_path, if_absent=if_absent, if_match=None)

    def download(self, path: str, local_path: Path) -> None:
        read_whole(lambda: self._download(path, local_path))

    def _download(self, path: str, local_path: Path) -> None:
        try:
            with local_path.open("wb") as out:
                for chunk in self.chunks(path):
                    out.write(chunk)
        except BaseException:
            local_path.unlink(missing_ok=True)
            raise

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._mended("read", path):
            try:
                answer = obstore.get(self._store, object_path(path))
            except FileNotFoundError as error:
                self._require_bucket(error)
                raise ObjectNotFound(f"{self.url} has no object {path!r}.") from None
            for chunk in answer.stream():
                yield bytes(chunk)

    def head(self, path: str) -> ObjectInfo | None:
        return read_whole(lambda: self._head(path))

    def _head(self, path: str) -> ObjectInfo | None:
        with self._mended("read", path):
            try:
                return self._info(dict(obstore.head(self._store, object_path(path))))
            except FileNotFoundError:
                # A HEAD answers 404 without saying whether it is the object or the bucket that is missing.
                if not self._bucket_seen:
                    next(iter(obstore.list(self._store, chunk_size=1)), None)
                    self._bucket_seen = True
                return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter(sorted(read_whole(lambda: self._list(prefix)), key=lambda info: info.path))

    def _list(self, prefix: str) -> Sequence[ObjectInfo]:
        folder = object_path(prefix.rstrip("/")) if prefix.rstrip("/") else None
        with self._mended("list", prefix):
            batches = obstore.list(self._store, folder)
            return [self._listed(dict(meta)) for batch in batches for meta in batch]

    def delete(self, path: str) -> None:
        with self._mended("delete", path):
            try:
                obstore.delete(self._store, object_path(path))
            except FileNotFoundError as error:
                self._require_bucket(error)

    def _put(self, path: str, content: bytes | Path, *, if_absent: bool, if_match: str | None) -> str:
        mode: Any = "overwrite"
        if if_match is not None:
            mode = {"version" if self._location.scheme == "gs" else "e_tag": if_match}
        elif if_absent:
            mode = "create"
        with self._mended("write", path):
            try:
                return self._version(dict(obstore.put(self._store, object_path(path), content, mode=mode)))
            except FileNotFoundError as error:
                self._require_bucket(error)
                # Some services answer 404, not 412, when the version to replace is gone.
                raise ConditionFailed(f"The object {path!r} in {self.url} is gone.") from error
            except GenericError as error:
                if self._refused_unread(path, if_absent=if_absent, if_match=if_match):
                    raise ConditionFailed(f"{self.url} already has another object {path!r}.") from error
                raise

    def _refused_unread(self, path: str, *, if_absent: bool, if_match: str | None) -> bool:
        """Whether a put that failed on the way could not have met its condition.

        A service may answer 412 and hang up before it has read the body: what arrives then is not the answer but
        a connection reset, sometimes, and more often the larger the body is.
        """
        if not if_absent and if_match is None:
            return False
        found = self.head(path)
        return (found is not None) if if_absent else (found is None or found.etag != if_match)

    def _version(self, answer: Mapping[str, Any]) -> str:
        """What a conditional put names a version by: the generation on Google, the etag elsewhere."""
        version = answer["version"] if self._location.scheme == "gs" else answer["e_tag"]
        if version is None:
            raise StoreError(
                f"{self.url} returns no etag, so writers cannot be told apart. "
                "Use a store with conditional puts."
            )
        return str(version)

    def _info(self, meta: Mapping[str, Any]) -> ObjectInfo:
        return ObjectInfo(meta["path"], meta["size"], meta["last_modified"], self._version(meta))

    def _listed(self, meta: Mapping[str, Any]) -> ObjectInfo:
        if self._location.scheme == "gs":
            # obstore reads no generations from Google's listings, and an etag there names no version to replace.
            return ObjectInfo(meta["path"], meta["size"], meta["last_modified"], None)
        return self._info(meta)

    def _require_bucket(self, error: FileNotFoundError) -> None:
        if any(code in str(error) for code in ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")):
            raise error

    @contextmanager
    def _mended(self, verb: str, path: str) -> Iterator[None]:
        """Turn the service's answer into what is wrong, where, and what to do."""
        where = f"{path!r} in {self.url}" if path else self.url
        scheme = self._location.scheme
        try:
            yield
        except (AlreadyExistsError, NotModifiedError) as error:
            raise ConditionFailed(f"{self.url} already has an object {path!r}.") from error
        except PreconditionError as error:
            raise ConditionFailed(
                f"The object {path!r} in {self.url} was changed by someone else."
            ) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            _, without_keys, why = _first_line(error).partition(_NO_KEYS)
            if without_keys:
                raise StoreError(f"Cannot {verb} {where}: {why}.") from error
            raise StoreError(
                f"Cannot {verb} {where}: the service refuses these credentials ({_first_line(error)}). "
                f"Check {_CREDENTIALS[scheme]} and that they may list, read, write and delete in this bucket."
            ) from error
        except UnknownConfigurationKeyError as error:
            raise StoreError(
                f"Cannot {verb} {where}: {_first_line(error)} Allowed are obstore's options for {scheme}://, "
                "such as endpoint, region and allow_http."
            ) from error
        except (BaseError, FileNotFoundError) as error:
            if any(
                code in str(error) for code in ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
            ):
                raise StoreError(
                    f"Cannot {verb} {where}: the bucket {self._location.bucket!r} does not exist. "
                    "Create it, or correct the URL; this program never creates buckets."
                ) from error
            kind = AnswerCutShort if _CUT_SHORT in str(error) else StoreError
            raise kind(
                f"Cannot {verb} {where}: {_first_line(error)}. "
                "Check the endpoint, the region and the network, then try again."
            ) from error


def _split(scheme: str, options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """The service's own options and those of the HTTP client; an http:// endpoint allows HTTP."""
    config: dict[str, str] = {}
    client: dict[str, Any] = {"timeout": "5min"}
    for key, value in options.items():
        name = _ALIASES.get(key.lower(), key.lower())
        if name in _CLIENT_OPTIONS:
            client[name] = value.lower() == "true" if name == "allow_http" else value
        else:
            config[_ENDPOINT[scheme] if name == "endpoint" else name] = value
    endpoint = config.get(_ENDPOINT[scheme])
    if endpoint is None:
        endpoint = next(filter(None, map(os.environ.get, _ENDPOINT_VARIABLES[scheme])), None)
    if endpoint is not None and endpoint.startswith("http://"):
        client.setdefault("allow_http", True)
    return config, client


def _first_line(error: Exception) -> str:
    """What happened, without the request's XML and the library's own debugging text."""
    return str(error).partition("\n")[0].partition(": <?xml")[0].rstrip(" :.")
