"""Notices and signatures in runs: a receiver that is down fails no delivery, and what signs stands nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from focus_assets.delivery import notices
from focus_assets.orchestration.in_process import RunFailed
from focus_assets_tests.delivery.test_notices import SECRET, Receiver
from focus_assets_tests.orchestration.company import Company


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(notices, "_PAUSE", lambda _: 0)
    monkeypatch.setenv("HOOK", SECRET)
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def company(tmp_path: Path, receiver: Receiver) -> Company:
    made = Company(tmp_path / "company")
    made.root.mkdir()
    made.configuration["destinations"][0]["notice"] = {"url": receiver.url, "signed_with": "HOOK"}
    made.usage_of_ten_days()
    return made


def tick(company: Company) -> str:
    definitions = company.chain.definitions
    with dg.build_sensor_context(
        instance=company.instance,
        definitions=definitions,
        resources={"lake": (definitions.resources or {})["lake"]},
    ) as context:
        return str(definitions.resolve_sensor_def("notice_sensor").evaluate_tick(context).skip_message)


def test_a_run_sends_its_notice_and_the_sensor_has_nothing_left(company: Company, receiver: Receiver) -> None:
    company.run_and_deliver("2026-08-01")

    [(_, body)] = receiver.came
    assert json.loads(body)["data"]["destination"] == "everyone"
    assert tick(company) == "Every delivery has been told of."


def test_a_receiver_that_is_down_fails_no_run_and_hears_at_the_next_tick(
    company: Company, receiver: Receiver
) -> None:
    receiver.answers = [500] * (2 * notices.ATTEMPTS)

    outcome = company.run_and_deliver("2026-08-01")

    assert {each["result"] for each in outcome.deliveries} == {"delivered"}
    warned = [
        entry.user_message
        for run in outcome.runs
        for entry in company.instance.all_logs(run)
        if "the notice of 2026-08 was not sent" in entry.user_message
    ]
    assert len(warned) == 1
    assert "127.0.0.1 answered 500" in warned[0]
    assert "127.0.0.1 answered 500" in tick(company), "it is down still"
    assert tick(company) == "Every delivery has been told of."
    assert len(set(receiver.ids())) == 1


def test_who_has_no_notice_has_no_sensor(company: Company) -> None:
    del company.configuration["destinations"][0]["notice"]

    assert "notice_sensor" not in {sensor.name for sensor in company.chain.definitions.sensors or []}


def test_neither_key_nor_secret_stands_in_a_run_a_log_a_ledger_or_an_object(
    company: Company, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("FOCUS_ASSETS_SIGNING_KEY", pem)
    canaries = [SECRET, SECRET.removeprefix("whsec_"), pem.splitlines()[1], "canary-secret"]
    home = tmp_path / "dagster"
    home.mkdir()
    receiver.answers = [403]
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        company.instance = instance
        company.run_and_deliver("2026-08-01")
        # What fails says more than what succeeds.
        monkeypatch.setenv("FOCUS_ASSETS_SIGNING_KEY", pem.replace("PRIVATE KEY", "CANARY KEY"))
        company.run("2026-08-02")
        with pytest.raises(RunFailed, match="FOCUS_ASSETS_SIGNING_KEY is no unencrypted") as failed:
            company.deliver()
        texts = [json.dumps(run.run_config) + json.dumps(dict(run.tags)) for run in instance.get_runs()]
    assert all(canary not in text for text in [*texts, str(failed.value)] for canary in canaries)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    assert any(b'"signature"' in path.read_bytes() for path in written if path.name == "manifest.json")
    for path in written:
        held = path.read_bytes()
        assert all(canary.encode() not in held for canary in canaries), path
