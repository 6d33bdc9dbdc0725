"""Ed25519 signatures of manifests: who wrote one, told by a key that a reader got some other way.

What belongs here: making and checking them. What does not: what is signed (``manifest``), and where a key lies.

A signature is inside its manifest, which stays one object: it is put with one condition, lies where each layout has it,
and can never be that of the manifest before. What is signed is the manifest as canonical JSON without ``signature``
(RFC 8785: sorted keys, no spaces, UTF-8), and it names every file by its sha256. A manifest and a key give one
signature, so a delivery that is done again gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from focus_assets.delivery.manifest import Manifest, Signature
from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY: Final = "FOCUS_ASSETS_SIGNING_KEY"
"""Environment variable that holds the private key, as PEM."""


class UnusableKey(FocusAssetsError):
    """A key that is no Ed25519 key in PEM. The message never holds any of it."""


@dataclass(frozen=True)
class Signer:
    """Signs manifests with a private key."""

    key_id: str
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: str, where: str = SIGNING_KEY) -> Signer:
        """The signer of a private key (``openssl genpkey -algorithm ed25519``); ``where`` is named in errors."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            # Container platforms often pass variables on one line, with \n written out.
            key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UnusableKey(
                f"{where} is no unencrypted Ed25519 private key in PEM; make one with "
                "`openssl genpkey -algorithm ed25519`. Nothing was delivered."
            )
        return cls(_key_id(key.public_key()), key)

    def sign(self, manifest: Manifest) -> Manifest:
        """``manifest`` with this signer's signature in the place of any that it has."""
        value = base64.b64encode(self._key.sign(manifest.signed_bytes())).decode()
        signature = Signature(algorithm="ed25519", key_id=self.key_id, value=value)
        return manifest.model_copy(update={"signature": signature})

    def has_signed(self, manifest: Manifest) -> bool:
        """Whether ``manifest`` says that this key signed it."""
        return manifest.signature is not None and manifest.signature.key_id == self.key_id


@dataclass(frozen=True)
class PublicKey:
    """Checks signatures of manifests."""

    key_id: str
    _key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes, where: str) -> PublicKey:
        """A public key in PEM (``openssl pkey -in private.pem -pubout``); ``where`` is named in errors."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise UnusableKey(
                f"{where} is no Ed25519 public key in PEM; make it with "
                "`openssl pkey -in private.pem -pubout`. Nothing was checked."
            )
        return cls(_key_id(key), key)

    def problems(self, manifest: Manifest) -> Iterator[str]:
        """What is wrong with the signature of ``manifest``, a sentence each."""
        from cryptography.exceptions import InvalidSignature

        signature = manifest.signature
        if signature is None:
            yield f"the manifest is not signed; a signature of key {self.key_id} was asked for"
        elif signature.key_id != self.key_id:
            yield f"the manifest is signed with key {signature.key_id}, not with the given key {self.key_id}"
        else:
            try:
                self._key.verify(base64.b64decode(signature.value, validate=True), manifest.signed_bytes())
            except (InvalidSignature, binascii.Error, ValueError):
                yield f"the signature is not one of this manifest by key {self.key_id}"


def _key_id(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]
