"""``focus-assets destination test | policy``: bringing a destination into service."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from focus_assets.commands.options import config_option
from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from focus_assets.delivery.probe import Step
    from focus_assets.settings import Destination

FOUND_SOMETHING = 1
"""Exit code where something about a destination is not fine."""


@click.group("destination")
def command() -> None:
    """Try a destination out, or print what its owner has to allow."""


@command.command("test")
@click.argument("name")
@config_option
def test(name: str, config: Path | None) -> None:
    """Write, read, replace and remove a probe object at destination NAME; deliver nothing.

    On S3 it also tells who writes, the bucket's region, and how the object was encrypted. Exits 1 where a delivery
    would fail.
    """
    from focus_assets.delivery.probe import probe
    from focus_assets.delivery.urls import check_destinations
    from focus_assets.settings.access import open_place

    destination, lake = _named(name, config)
    check_destinations(lake, [destination])
    look = (lambda: _s3(destination)) if destination.url.startswith("s3://") else (lambda: iter(()))
    broken = 0
    for step in probe(open_place(destination), look):
        mark = click.style("ok   ", fg="green") if step.fine else click.style("wrong", fg="red", bold=True)
        click.echo(f"{mark}  {step.what}: {step.said}")
        broken += not step.fine
    if broken:
        sys.exit(FOUND_SOMETHING)


@command.command("policy")
@click.argument("name")
@click.option("--principal", help="ARN of the IAM role or user that this program runs as.")
@click.option(
    "--of",
    "kind",
    type=click.Choice(["bucket", "role", "trust"]),
    default="bucket",
    show_default=True,
    help="The bucket's policy, the permissions of the destination's role, or who may assume that role.",
)
@config_option
def policy(name: str, principal: str | None, kind: str, config: Path | None) -> None:
    """Print the policy that the owner of destination NAME has to attach, as JSON for S3 and IAM.

    Least privilege: objects below the destination's prefix, and listing it. A destination with a role of its owner's
    (s3.role_arn) needs --of role and --of trust at that role; the trust asks for s3.external_id.
    """
    from focus_assets.delivery.access_policy import bucket_policy, role_policy, trust_policy

    destination, _ = _named(name, config)
    document = {
        "bucket": lambda: bucket_policy(destination, principal),
        "role": lambda: role_policy(destination),
        "trust": lambda: trust_policy(destination, principal),
    }[kind]()
    click.echo(json.dumps(document, indent=2))


def _named(name: str, config: Path | None) -> tuple[Destination, str]:
    from focus_assets.settings import ConfigurationError, settings_or_sample

    settings = settings_or_sample(config)
    known = {destination.name: destination for destination in settings.destinations}
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ConfigurationError(f"unknown destination {name!r}; known destinations: {listed}")
    return known[name], settings.lake.url


def _s3(destination: Destination) -> Iterator[Step]:
    from focus_assets.delivery.probe import PROBE, Lacking, Step
    from focus_assets.lake.urls import BucketLocation, parse_url
    from focus_assets.settings.aws import BucketFacts

    location = parse_url(destination.url)
    assert isinstance(location, BucketLocation)
    s3 = destination.s3
    wanted = {None: None, "sse-s3": "AES256", "sse-kms": "aws:kms"}[s3.encryption]

    def role() -> str:
        return facts.writer()

    def region() -> str:
        found = facts.region()
        if s3.region not in (None, found):
            raise Lacking(f"the bucket is in {found}, s3.region says {s3.region}; correct it")
        return found

    def encryption() -> str:
        prefix = f"{location.prefix.strip('/')}/" if location.prefix.strip("/") else ""
        kind, key = facts.encryption(f"{prefix}{PROBE}")
        if wanted is not None and kind != wanted:
            raise Lacking(f"asked for {wanted}, the bucket says {kind or 'none'}")
        if s3.kms_key is not None and not str(key).endswith(s3.kms_key.rpartition("/")[2]):
            raise Lacking(f"asked for the key {s3.kms_key}, the bucket says {key}")
        return " with ".join(part for part in (kind or "the bucket says nothing of it", key) if part)

    def asked(what: str, question: Callable[[], str]) -> Step:
        try:
            return Step(what, question(), fine=True)
        except FocusAssetsError as error:
            # Who writes is good to know, and no delivery depends on being allowed to ask.
            return Step(what, str(error), fine=what == "written as")

    facts = BucketFacts(s3, location.bucket)
    yield asked("written as", role)
    yield asked("region", region)
    yield asked("encryption", encryption)
