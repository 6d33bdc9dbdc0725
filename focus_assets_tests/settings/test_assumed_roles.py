"""A role in somebody else's account: its owner's external id opens it; another, or none, is refused and told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from focus_assets.lake import StoreError
from focus_assets.settings import Destination, S3Settings
from focus_assets.settings.access import open_place
from focus_assets_tests.s3_server import ACCESS_KEY, REGION, SECRET_KEY, S3Bucket

ROLE = "arn:aws:iam::111122223333:role/focus-writer"
THEIRS = "id-that-they-chose"


@dataclass
class Sts:
    """STS on loopback, with one role whose trust policy asks for an external id; S3 knows the keys that it gives."""

    endpoint: str = ""
    refused: list[str | None] = field(default_factory=list)

    def answer(self, asked: dict[str, list[str]]) -> tuple[int, str]:
        given = asked.get("ExternalId", [None])[0]
        if asked["RoleArn"] != [ROLE] or given != THEIRS:
            self.refused.append(given)
            return 403, (
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: "
                "arn:aws:iam::444455556666:user/runner is not authorized to perform: sts:AssumeRole on resource: "
                f"{asked['RoleArn'][0]}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
            )
        return 200, (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>"
            "<SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    played = Sts()

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, text = played.answer(parse_qs(body))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        played.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", played.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "runner")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-the-runner")
        yield played
        server.shutdown()
        thread.join()


def destination(bucket: S3Bucket, external_id: str | None) -> Destination:
    s3 = S3Settings(
        endpoint_url=bucket.server.endpoint, region=REGION, role_arn=ROLE, external_id=external_id
    )
    return Destination(name="acme", url=f"{bucket.url}/from-us", s3=s3)


@pytest.mark.s3
def test_the_external_id_of_the_owner_opens_the_role(s3_bucket: S3Bucket, sts: Sts) -> None:
    store = open_place(destination(s3_bucket, THEIRS))
    store.put("a", b"-")
    assert store.get("a") == b"-"
    assert sts.refused == []


@pytest.mark.s3
@pytest.mark.parametrize("given", ["id-that-we-chose", None])
def test_another_external_id_is_refused_with_the_role_and_what_to_do(
    s3_bucket: S3Bucket, sts: Sts, given: str | None
) -> None:
    store = open_place(destination(s3_bucket, given))
    for attempt in (lambda: store.put("a", b"-"), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(StoreError) as refused:
            attempt()
        said = str(refused.value)
        assert f"in {s3_bucket.url}/from-us: " in said or f"Cannot list {s3_bucket.url}/from-us: " in said
        assert f"the role {ROLE} cannot be assumed " in said
        assert ("with s3.external_id (" if given else "without an external id (") in said
        assert "is not authorized to perform: sts:AssumeRole" in said
        assert "Correct s3.role_arn and s3.external_id" in said
        assert "focus-assets destination policy NAME --of trust" in said
        assert "canary" not in said
        assert "\n" not in said
    assert set(sts.refused) == {given}
    assert "Contents" not in s3_bucket.server.client().list_objects_v2(Bucket=s3_bucket.name)
