"""Notices of deliveries: a CloudEvent to whom a destination names, once its manifest is in place.

What belongs here: the event, which notices are owed, and sending them. What does not: when (``orchestration``) and
where secrets come from (``signing``).

A notice is owed as long as the newest delivery of a month of a dataset has no receipt in the lake: the receipt is
written after the receiver took the event, so a crash in between sends it again, with the same id. A delivery that
another replaced before its notice was sent is not told of: the newer one says what it supersedes.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import tenacity
from standardwebhooks import Webhook

from focus_assets.delivery.ledger import latest_deliveries
from focus_assets.delivery.manifest import canonical_json
from focus_assets.lake import Lake
from focus_assets.settings import Destination, Notice

TYPE: Final = "com.focus-assets.delivery.completed.v1"
ROOT: Final = "_notices"
ATTEMPTS: Final = 3
"""How often a receiver is tried before the notice waits for the next tick."""

_PREFIX: Final = "whsec_"
_FORM: Final = "whsec_ and 24 to 64 random bytes in base64, such as `echo whsec_$(openssl rand -base64 32)`"
_PAUSE: Final = tenacity.wait_exponential(multiplier=0.2, max=2)
_TIMEOUT: Final = 5.0
_ENOUGH: Final = dt.timedelta(seconds=30)
_BUSY: Final = {408, 425, 429}


class _NotNow(Exception):
    """A receiver that did not take the event, and may the next time."""


class _Refused(Exception):
    """A receiver that did not take the event and will not take it a second later either."""


@dataclass(frozen=True)
class Unsent:
    """A notice that nobody took yet, and why; it is tried again with the next."""

    destination: str
    month: str
    reason: str

    def __str__(self) -> str:
        return (
            f"destination {self.destination}: the notice of {self.month} was not sent: {self.reason}. "
            "The delivery stands; the notice is sent again at the next tick."
        )


@dataclass(frozen=True)
class Owed:
    """A notice that is to be sent: to whom, its id and its body."""

    destination: str
    month: str
    dataset: str
    notice: Notice
    manifest_sha256: str
    body: bytes

    @property
    def id(self) -> str:
        """The same for every attempt, so that a receiver can tell an event that it has already."""
        return self.manifest_sha256


def owed(lake: Lake, destinations: Sequence[Destination]) -> list[Owed]:
    """The notices of newest deliveries that have no receipt, by destination and month."""
    wanted = {each.name: each.notice for each in destinations if each.notice is not None}
    if not wanted:
        return []
    receipts = {info.path for info in lake.store.list(f"{ROOT}/")}
    found = []
    for entry in latest_deliveries(lake).iter_rows(named=True):
        notice = wanted.get(entry["destination"])
        if notice is not None and _receipt(entry) not in receipts:
            found.append(
                Owed(
                    entry["destination"],
                    entry["billing_month"],
                    entry["dataset"],
                    notice,
                    entry["manifest_sha256"],
                    event_of(entry),
                )
            )
    return found


def event_of(entry: Mapping[str, Any]) -> bytes:
    """The CloudEvent of a row of the ledger, in structured JSON; equal entries give equal bytes."""
    told = (
        "destination",
        "billing_month",
        "dataset",
        "focus_version",
        "content_digest",
        "supersedes",
        "rows",
        "files",
        "bytes",
    )
    sums = ("billed_cost", "effective_cost", "consumed_quantity")
    return canonical_json(
        {
            "specversion": "1.0",
            "id": entry["manifest_sha256"],
            "source": f"/focus-assets/destinations/{entry['destination']}",
            "type": TYPE,
            "subject": entry["billing_month"],
            "time": entry["delivered_at"].astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {name: entry[name] for name in told}
            | {name: json.loads(entry[name]) for name in sums}
            | {"manifest_url": entry["manifest_url"], "manifest_sha256": entry["manifest_sha256"]},
        }
    )


def send(lake: Lake, notices: Sequence[Owed], secrets: Mapping[str, str]) -> list[Unsent]:
    """Send ``notices`` and keep their receipts; returns those that were not taken.

    ``secrets`` are by the name that a notice says it is signed with. What is not sent within half a minute waits, so
    that a receiver that hangs does not hold up whoever calls.
    """
    unsent: list[Unsent] = []
    until = dt.datetime.now(dt.UTC) + _ENOUGH
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
        for each in notices:
            reason = _problem(client, each, secrets, until)
            if reason is None:
                _keep_receipt(lake, each)
            else:
                unsent.append(Unsent(each.destination, each.month, reason))
    return unsent


def _problem(client: httpx.Client, owed: Owed, secrets: Mapping[str, str], until: dt.datetime) -> str | None:
    """Why a notice was not taken, in words that hold neither the secret nor more of the URL than its host."""
    if dt.datetime.now(dt.UTC) > until:
        return "others took too long"
    secret = secrets.get(owed.notice.signed_with, "")
    if not secret:
        return f"the environment variable {owed.notice.signed_with} is not set"
    if not _is_secret(secret):
        return f"the environment variable {owed.notice.signed_with} is no secret: {_FORM}"
    webhook = Webhook(secret)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_NotNow),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=_PAUSE,
        reraise=True,
    )
    try:
        retrying(_post, client, owed, webhook)
    except (_NotNow, _Refused) as error:
        return f"{urlsplit(owed.notice.url).hostname} {error}"
    return None


def _post(client: httpx.Client, owed: Owed, webhook: Webhook) -> None:
    now, body = dt.datetime.now(dt.UTC), owed.body.decode()
    headers = {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": owed.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign(owed.id, now, body),
    }
    try:
        answer = client.post(owed.notice.url, content=owed.body, headers=headers)
    except httpx.HTTPError as error:
        raise _NotNow(f"did not answer ({type(error).__name__})") from None
    if answer.is_success:
        return
    if answer.status_code in _BUSY or answer.is_server_error:
        raise _NotNow(f"answered {answer.status_code}")
    raise _Refused(f"answered {answer.status_code}")


def _is_secret(text: str) -> bool:
    """As Standard Webhooks has them."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return False
    return text.startswith(_PREFIX) and 24 <= len(key) <= 64


def _keep_receipt(lake: Lake, owed: Owed) -> None:
    receipt = _path(owed.destination, owed.month, owed.dataset, owed.manifest_sha256)
    lake.store.put(receipt, canonical_json({"sent": True}))
    for before in _others(lake, owed, receipt):
        lake.store.delete(before)


def _others(lake: Lake, owed: Owed, receipt: str) -> Iterator[str]:
    folder = receipt.rpartition("/")[0]
    return (info.path for info in lake.store.list(f"{folder}/") if info.path != receipt)


def _receipt(entry: Mapping[str, Any]) -> str:
    return _path(entry["destination"], entry["billing_month"], entry["dataset"], entry["manifest_sha256"])


def _path(destination: str, month: str, dataset: str, manifest_sha256: str) -> str:
    return f"{ROOT}/{destination}/{month}/{dataset}/{manifest_sha256}.json"
