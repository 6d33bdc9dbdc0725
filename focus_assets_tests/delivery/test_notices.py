"""Notices: a receiver that listens hears of each delivery at least once, and one that does not holds nothing up."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from focus_assets.delivery import DeliveryRun, deliver, ledger, notices
from focus_assets.delivery.notices import Unsent, event_of, owed, send
from focus_assets.lake import Lake
from focus_assets.settings import Destination, Notice
from focus_assets.signing import send_notices
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import row, write_day

AUGUST = "2026-08"
SECRET = f"whsec_{base64.b64encode(b'canary-secret-of-thirty-two-bytes').decode()}"
SECRETS = {"HOOK": SECRET}


class Receiver:
    """A real HTTP server on loopback: what came, and which statuses to answer with next (200 when none is left)."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.came: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/canary-path"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.came]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(notices, "_PAUSE", lambda _: 0)
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def told(destination: Destination, receiver: Receiver) -> Destination:
    """A destination that wants to be told."""
    return destination.model_copy(update={"notice": Notice(url=receiver.url, signed_with="HOOK")})


def test_a_receiver_gets_a_cloud_event_that_its_secret_verifies(
    lake: Lake, told: Destination, receiver: Receiver
) -> None:
    result = deliver(lake, told, AUGUST, DeliveryRun(NOW))

    assert send(lake, owed(lake, [told]), SECRETS) == []

    [(headers, body)] = receiver.came
    event = Webhook(SECRET).verify(body, headers)
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert (event["specversion"], event["type"]) == ("1.0", "com.focus-assets.delivery.completed.v1")
    assert event["id"] == headers["webhook-id"]
    assert event["time"] == "2026-09-02T06:00:00Z"
    assert event["subject"] == AUGUST
    assert event["data"]["manifest_url"] == result.manifest_url
    assert event["data"]["content_digest"] == result.manifest.content_digest
    assert event["data"]["billed_cost"] == {"USD": "0.28"}, "4 x 0.07 + 0.01 + 0.02 + 0.04, of three days"
    assert (event["data"]["rows"], event["data"]["destination"]) == (6, "warehouse")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"0.28", b"0.29"), headers)


def test_each_delivery_is_told_of_once_and_an_unchanged_one_is_not(
    lake: Lake, told: Destination, receiver: Receiver
) -> None:
    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    send(lake, owed(lake, [told]), SECRETS)
    deliver(lake, told, AUGUST, DeliveryRun(NOW + dt.timedelta(hours=1)))
    assert owed(lake, [told]) == []

    write_day(lake, dt.date(2026, 8, 2), [row(dt.date(2026, 8, 2), quantity=99)])
    second = deliver(lake, told, AUGUST, DeliveryRun(NOW + dt.timedelta(hours=2)))
    send(lake, owed(lake, [told]), SECRETS)

    assert len(set(receiver.ids())) == len(receiver.came) == 2
    assert json.loads(receiver.came[1][1])["data"]["supersedes"] == second.manifest.supersedes
    assert len(list(lake.store.list("_notices/"))) == 1, "receipts of what was replaced are not kept"


@pytest.mark.parametrize(
    ("answers", "posts"), [([500], 2), ([503, 429], 3), ([408, 204], 2)], ids=lambda each: str(each)
)
def test_a_receiver_that_is_busy_is_tried_again_at_once_with_the_same_id(
    lake: Lake, told: Destination, receiver: Receiver, answers: list[int], posts: int
) -> None:
    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    receiver.answers = answers[:]

    assert send(lake, owed(lake, [told]), SECRETS) == []

    assert (len(receiver.came), len(set(receiver.ids()))) == (posts, 1)
    assert owed(lake, [told]) == []


@pytest.mark.parametrize(("status", "posts"), [(500, 3), (400, 1), (410, 1), (302, 1)])
def test_what_is_not_taken_is_owed_until_it_is(
    lake: Lake, told: Destination, receiver: Receiver, status: int, posts: int
) -> None:
    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    receiver.answers = [status] * posts

    [unsent] = send(lake, owed(lake, [told]), SECRETS)

    assert (unsent.destination, unsent.month, unsent.reason) == (
        "warehouse", AUGUST, f"127.0.0.1 answered {status}",
    )  # fmt: skip
    assert len(receiver.came) == posts
    assert send(lake, owed(lake, [told]), SECRETS) == [], "the next tick"
    assert len(set(receiver.ids())) == 1


def test_a_receiver_that_is_down_fails_nothing_and_hears_later(
    lake: Lake, told: Destination, receiver: Receiver
) -> None:
    down = told.model_copy(update={"notice": Notice(url="http://127.0.0.1:9/x", signed_with="HOOK")})
    result = deliver(lake, down, AUGUST, DeliveryRun(NOW))

    [unsent] = send(lake, owed(lake, [down]), SECRETS)

    assert result.outcome == "delivered"
    assert "127.0.0.1 did not answer (ConnectError)" in str(unsent)
    send(lake, owed(lake, [told]), SECRETS)
    assert len(receiver.came) == 1


def test_a_crash_between_manifest_and_notice_or_notice_and_receipt_sends_it_later_with_the_same_id(
    lake: Lake, told: Destination, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    deliver(
        lake, told, AUGUST, DeliveryRun(NOW)
    )  # killed right after the manifest and the ledger: nothing was sent
    with monkeypatch.context() as patched:
        patched.setattr(notices, "_keep_receipt", die)
        with pytest.raises(Killed):
            send(lake, owed(lake, [told]), SECRETS)

    send(lake, owed(lake, [told]), SECRETS)

    assert len(receiver.came) == 2, "at least once"
    assert len(set(receiver.ids())) == 1, "and told apart by their id"
    assert receiver.came[0][1] == receiver.came[1][1]


def test_one_receiver_that_is_down_does_not_keep_others_back(
    lake: Lake, told: Destination, receiver: Receiver
) -> None:
    down = Destination(
        name="a-down", url=f"{told.url}-2", notice=Notice(url="http://127.0.0.1:9/x", signed_with="HOOK")
    )
    silent = Destination(name="silent", url=f"{told.url}-3")
    for each in (down, silent, told):
        deliver(lake, each, AUGUST, DeliveryRun(NOW))

    unsent = send(lake, owed(lake, [down, silent, told]), SECRETS)

    assert [each.destination for each in unsent] == ["a-down"]
    assert [json.loads(body)["data"]["destination"] for _, body in receiver.came] == ["warehouse"]


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ({}, "HOOK is not set"),
        ({"HOOK": "canary"}, "HOOK is no secret"),
        ({"HOOK": "whsec_canary"}, "HOOK is no secret"),
        ({"HOOK": "whsec_Y2FuYXJ5"}, "HOOK is no secret"),
    ],
)
def test_a_secret_that_is_missing_or_none_is_named_by_its_variable_and_never_shown(
    lake: Lake, told: Destination, receiver: Receiver, secrets: dict[str, str], reason: str
) -> None:
    deliver(lake, told, AUGUST, DeliveryRun(NOW))

    [unsent] = send(lake, owed(lake, [told]), secrets)

    assert reason in unsent.reason
    assert "canary" not in str(unsent)
    assert "Y2FuYXJ5" not in str(unsent)
    assert receiver.came == []


def test_no_word_of_a_notice_holds_the_secret_or_the_path_of_the_url(
    lake: Lake, told: Destination, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    receiver.answers = [403]

    [unsent] = send_notices(lake, [told])
    send_notices(lake, [told])

    said = [str(unsent), repr(unsent)] + [
        lake.store.get(i.path).decode() for i in lake.store.list("_notices/")
    ]
    assert all("canary" not in text and SECRET[6:] not in text for text in said)
    assert isinstance(unsent, Unsent)
    assert len(receiver.came) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "ftp://example.com",
        "https:///x",
        "file:///etc/passwd",
        "http://127.0.0.1.example.com",
    ],
)
def test_a_notice_goes_by_https_except_on_this_machine(url: str) -> None:
    with pytest.raises(ValidationError, match="is no https:// address"):
        Notice(url=url, signed_with="HOOK")


def test_each_dataset_of_a_month_is_told_of_once(lake: Lake, told: Destination, receiver: Receiver) -> None:
    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    costs = ledger.last(lake, told.name, AUGUST)
    assert costs is not None
    ledger.append(lake, costs.model_copy(update={"dataset": "focus_price_list", "manifest_sha256": "b" * 64}))

    assert [send(lake, owed(lake, [told]), SECRETS) for _ in range(3)] == [[], [], []]

    assert [json.loads(body)["data"]["dataset"] for _, body in receiver.came] == [
        "focus_cost_and_usage",
        "focus_price_list",
    ]


def test_equal_entries_give_equal_events(lake: Lake, told: Destination) -> None:
    from focus_assets.delivery import latest_deliveries

    deliver(lake, told, AUGUST, DeliveryRun(NOW))
    [entry] = latest_deliveries(lake).iter_rows(named=True)

    assert event_of(entry) == event_of(entry)
    assert owed(lake, [told])[0].body == event_of(entry)
