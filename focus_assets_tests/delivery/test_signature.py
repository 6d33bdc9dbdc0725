"""Who wrote a manifest: one key's signature inside it, and a clear word where there is none or a wrong one."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from focus_assets.commands.verify import command
from focus_assets.delivery import DeliveryRun, deliver, entries, verify
from focus_assets.delivery.signature import PublicKey, Signer, UnusableKey
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW

AUGUST = "2026-08"
LATER = NOW + dt.timedelta(days=1)


def pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


OURS, THEIRS = (
    Ed25519PrivateKey.from_private_bytes(b"1" * 32),
    Ed25519PrivateKey.from_private_bytes(b"2" * 32),
)
SIGNER = Signer.from_pem(pem(OURS))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "ours.pem").write_bytes(public(OURS))
    return tmp_path / "ours.pem"


def said(url: str, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, [url, *options])
    return done.exit_code, done.output


@pytest.mark.parametrize("layout", ["hive", "aws", "finops-hubs"])
def test_a_signed_delivery_is_verified_with_the_public_key_in_every_layout(
    lake: Lake, destination: Destination, key_file: Path, layout: str
) -> None:
    asked = destination.model_copy(update={"layout": layout})
    manifest = deliver(lake, asked, AUGUST, DeliveryRun(NOW, signer=SIGNER)).manifest

    code, told = said(asked.url, "--public-key", str(key_file))

    assert code == 0, told
    assert f"signed by {SIGNER.key_id}" in told
    assert "not checked" in said(asked.url)[1]
    assert manifest.signature is not None
    # As anybody can: the manifest without the signature, canonical, and the key.
    there = json.loads(manifest.to_bytes())
    value = base64.b64decode(there.pop("signature")["value"])
    canonical = json.dumps(there, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    OURS.public_key().verify(value, canonical.encode())


def test_an_unsigned_manifest_a_strange_key_and_a_changed_manifest_are_told_apart(
    lake: Lake, destination: Destination, key_file: Path, tmp_path: Path
) -> None:
    options = ("--public-key", str(key_file))
    path = Path(deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest_url)
    code, told = said(destination.url, *options)
    assert (code, f"the manifest is not signed; a signature of key {SIGNER.key_id} was" in told) == (1, True)

    path.unlink()
    theirs = Signer.from_pem(pem(THEIRS))
    deliver(lake, destination, AUGUST, DeliveryRun(LATER, signer=theirs))
    code, told = said(destination.url, *options)
    assert (code, f"signed with key {theirs.key_id}, not with the given key" in told) == (1, True)

    path.unlink()
    deliver(lake, destination, AUGUST, DeliveryRun(LATER, signer=SIGNER))
    assert said(destination.url, *options)[0] == 0
    # generated_at is not part of the content digest: only the signature tells.
    path.write_text(
        path.read_text().replace('"generated_at":"2026-09-03T06', '"generated_at":"2026-09-03T07')
    )
    assert [found.problems for found in verify(destination.url)] == [()]
    code, told = said(destination.url, *options)
    assert (code, "the signature is not one of this manifest" in told) == (1, True)
    path.write_text(path.read_text().replace('"value":"', '"value":"!'))
    assert "the signature is not one of this manifest" in said(destination.url, *options)[1]


def test_signing_is_reproducible_and_leaves_what_was_signed_before(
    lake: Lake, destination: Destination
) -> None:
    first = deliver(lake, destination, AUGUST, DeliveryRun(NOW, signer=SIGNER))

    again = deliver(lake, destination, AUGUST, DeliveryRun(LATER, signer=SIGNER))
    without = deliver(lake, destination, AUGUST, DeliveryRun(LATER))

    assert (again.outcome, without.outcome) == ("unchanged", "unchanged")
    assert SIGNER.sign(first.manifest).to_bytes() == first.manifest.to_bytes()
    assert entries(lake).height == 1


def test_what_stands_unsigned_or_with_another_key_is_signed_by_the_next_delivery(
    lake: Lake, destination: Destination
) -> None:
    unsigned = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    assert b"signature" not in unsigned.manifest.to_bytes()

    signed = deliver(lake, destination, AUGUST, DeliveryRun(LATER, signer=SIGNER))
    other = deliver(lake, destination, AUGUST, DeliveryRun(LATER, signer=Signer.from_pem(pem(THEIRS))))

    assert (signed.outcome, signed.files_written, other.outcome) == ("delivered", 0, "delivered")
    assert signed.manifest.content_digest == unsigned.manifest.content_digest
    assert PublicKey.from_pem(public(THEIRS), "theirs").key_id == other.manifest.signature.key_id  # type: ignore[union-attr]
    assert [found.problems for found in verify(destination.url)] == [()]


@pytest.mark.parametrize(
    "text", ["canary-not-pem", "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_named_by_its_variable_and_never_shown(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from focus_assets.signing import signer_from_environment

    monkeypatch.setenv("FOCUS_ASSETS_SIGNING_KEY", text)
    with pytest.raises(UnusableKey, match="FOCUS_ASSETS_SIGNING_KEY is no unencrypted Ed25519") as raised:
        signer_from_environment()

    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_key_of_another_kind_or_in_the_wrong_place_is_refused(
    tmp_path: Path, destination: Destination
) -> None:
    rsa = generate_private_key(65537, 2048)
    text = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(UnusableKey):
        Signer.from_pem(text)
    (tmp_path / "private.pem").write_text(pem(OURS))

    done = CliRunner().invoke(command, [destination.url, "--public-key", str(tmp_path / "private.pem")])

    assert isinstance(done.exception, UnusableKey)
    assert "private.pem is no Ed25519 public key" in str(done.exception)


def test_the_key_may_be_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from focus_assets.signing import signer_from_environment

    monkeypatch.setenv("FOCUS_ASSETS_SIGNING_KEY", pem(OURS).replace("\n", "\\n"))
    found = signer_from_environment()
    assert found is not None
    assert found.key_id == SIGNER.key_id
    assert "key=" not in repr(found)
    monkeypatch.setenv("FOCUS_ASSETS_SIGNING_KEY", " ")
    assert signer_from_environment() is None
