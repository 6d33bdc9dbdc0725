"""Two daemons at once, as after a failover that left the old one alive: what both ask for is delivered once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import dagster as dg
import pytest

from focus_assets.delivery import entries
from focus_assets.lake import lease
from focus_assets.orchestration.in_process import Chain
from focus_assets.orchestration.jobs import EXPORT_JOB
from focus_assets_tests.orchestration.company import Company, tick, why
from focus_assets_tests.orchestration.test_s3_lake import in_bucket
from focus_assets_tests.s3_server import REGION, S3Bucket

Answer = TypeVar("Answer")


def instance(folder: Path) -> dg.DagsterInstance:
    """One on disk, for threads cannot share one in memory, nor a standard output that is redirected for each run."""
    silent = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"compute_logs": silent})


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A day with all its checks passed, not delivered yet; tests take copies of its lake."""
    company = Company(
        tmp_path_factory.mktemp("checked"), instance=instance(tmp_path_factory.mktemp("dagster"))
    )
    company.usage_of_ten_days()
    company.run("2026-08-01")
    return company


@pytest.fixture
def company(
    place: str,
    request: pytest.FixtureRequest,
    checked: Company,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Company:
    """The company with a lake and destinations of its own, in folders or in a bucket, on the instance of its day."""
    own = Company(tmp_path, instance=checked.instance)
    if place == "bucket":
        bucket: S3Bucket = request.getfixturevalue("s3_bucket")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.options["access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.options["secret_access_key"])
        in_bucket(own, bucket.name, {"endpoint_url": bucket.server.endpoint, "region": REGION})
    for info in checked.lake.store.list():
        own.lake.store.put(info.path, checked.lake.store.get(info.path))
    return own


def at_once(call: Callable[[Chain], Answer], chains: list[Chain]) -> list[Answer]:
    """What ``call`` returns for each, all begun at the same moment in threads of their own."""
    begin = threading.Barrier(len(chains))

    def when_all_are_there(chain: Chain) -> Answer:
        begin.wait()
        return call(chain)

    with ThreadPoolExecutor(len(chains)) as pool:
        return list(pool.map(when_all_are_there, chains))


def launch(chain: Chain, request: Any) -> dict[str, Any]:
    """What the run that a daemon launches for a request delivered, by destination."""
    result = chain.definitions.resolve_job_def(EXPORT_JOB).execute_in_process(
        instance=chain.instance,
        partition_key=request.partition_key,
        run_config=dict(request.run_config),
        asset_selection=list(request.asset_selection),
        tags=dict(request.tags),
        raise_on_error=False,
    )
    assert result.success, why(result)
    told = [
        event.step_materialization_data.materialization for event in result.get_asset_materialization_events()
    ]
    return {each.asset_key.path[-1]: each.metadata["result"].value for each in told}


@pytest.mark.parametrize(
    ("place", "lease_each"),
    [
        pytest.param("folder", True, id="processes, in folders"),
        pytest.param("bucket", True, id="processes, in a bucket", marks=pytest.mark.s3),
        # Who writes a bucket past the lease, a takeover say, is held up by conditional puts alone.
        pytest.param("bucket", False, id="no lease between them, in a bucket", marks=pytest.mark.s3),
    ],
)
def test_what_two_ticks_at_once_ask_for_is_delivered_once(
    company: Company, lease_each: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_chain = company.chain
    if lease_each:
        # Threads of a process share its lease; processes do not.
        monkeypatch.setattr(lease, "os", SimpleNamespace(getpid=threading.get_ident))
        # The clocks of two machines differ: so would manifests, where both wrote one.
        company.configuration["as_of"] += dt.timedelta(minutes=1)
    daemons = [first_chain, company.chain]

    ticks = at_once(tick, daemons)

    (first,), (second,) = (each.run_requests for each in ticks)
    # The key by which daemons that see each other's runs launch one. Here both are launched.
    assert first.run_key == second.run_key
    came_of_it = at_once(lambda chain: launch(chain, first if chain is daemons[0] else second), daemons)

    for destination in ("everyone", "only-bob"):
        assert "delivered" in [each[destination] for each in came_of_it]
    if lease_each:
        assert sorted(each["everyone"] for each in came_of_it) == ["delivered", "unchanged"]
    assert company.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}
    assert entries(company.lake)["sequence"].to_list() == [1, 1]
    # Two requests at 0.01, 30 tokens at 0.10 and three seats at 5; bob subscribes on the third day.
    assert company.rows_delivered("everyone")["BilledCost"].sum() == Decimal("18.02")
    assert company.rows_delivered("only-bob").is_empty()
    assert [tick(chain).run_requests for chain in daemons] == [[], []]
