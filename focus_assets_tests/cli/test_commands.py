import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from focus_assets.cli import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in the test's folder, in this process: starting one for each costs more than the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOCUS_ASSETS_CONFIG", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def done(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["focus-assets", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return done


@pytest.fixture
def started(tmp_path: Path, run: Run) -> Path:
    """A folder with the starter configuration and an event file."""
    assert run("init").returncode == 0
    events = tmp_path / "data" / "events"
    events.mkdir(parents=True)
    (events / "day.ndjson").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["schema"],
        ["version"],
        ["sql", "select count(*) from focus_1_2"],
        ["dimensions"],
        ["sql", "--help"],
        ["reconcile", "--period", "2026-08"],
    ],
    ids=" ".join,
)
def test_a_quick_command_loads_neither_dagster_nor_boto3(started: Path, arguments: list[str]) -> None:
    code = (
        "import sys\nfrom focus_assets.cli import cli\n"
        f"cli({arguments!r}, standalone_mode=False)\n"
        "slow = {'dagster', 'dagster_aws', 'dagster_duckdb', 'boto3', 'botocore'} & set(sys.modules)\n"
        "sys.exit(f'loaded {sorted(slow)}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=started, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_but_click() -> None:
    code = (
        "import sys\nfrom focus_assets.cli import cli\ncli(['--help'], standalone_mode=False)\n"
        "sys.exit(1 if {'polars', 'duckdb', 'pydantic'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_init_writes_a_starter_that_loads_and_whose_dimensions_are_all_decided(
    started: Path, run: Run
) -> None:
    assert "(22 rows)" in run("dimensions").stdout
    done = run("doctor")
    assert "ok     configuration" in done.stdout
    assert done.returncode == 0, done.stdout


def test_init_never_overwrites(started: Path, run: Run) -> None:
    (started / "focus.yaml").write_text("mine")
    done = run("init")
    assert done.returncode == 2
    assert "exists already and was left as it is" in done.stderr
    assert (started / "focus.yaml").read_text() == "mine"


def test_an_error_is_a_sentence_on_stderr_without_a_traceback(tmp_path: Path, run: Run) -> None:
    (tmp_path / "focus.yaml").write_text("start_date: 2026-01-01\nmetres: []\n")
    done = run("sql", "select 1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "line 2, metres: unknown key 'metres'; did you mean 'meters'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_schema_is_json(tmp_path: Path, run: Run) -> None:
    assert json.loads(run("schema").stdout)["title"] == "focus.yaml"


def test_sql_prints_a_table_csv_or_json_with_every_digit(started: Path, run: Run) -> None:
    statement = "select 0.000000000000000001::decimal(38,18) as cost, null as nothing, 'a,b' as name"
    assert run("sql", statement).stdout.splitlines()[2].split() == [
        "0.000000000000000001",
        "a,b",
    ]
    assert run("sql", statement, "--format", "csv").stdout == (
        'cost,nothing,name\n0.000000000000000001,,"a,b"\n'
    )
    rows = json.loads(run("sql", statement, "--format", "json").stdout)
    assert rows == [{"cost": "0.000000000000000001", "nothing": None, "name": "a,b"}]


def test_a_statement_that_duckdb_refuses_names_the_views(started: Path, run: Run) -> None:
    done = run("sql", "select * from focus_1_9")
    assert done.returncode == 2
    assert "Views: catalog, closed_periods, deliveries, event_keys, focus_1_0" in done.stderr


def test_dimensions_of_an_unknown_meter_name_the_known_ones(started: Path, run: Run) -> None:
    assert "known meters: tokens" in run("dimensions", "--meter", "token").stderr


def test_dimensions_of_a_destination_show_what_its_export_decides(started: Path, run: Run) -> None:
    text = (started / "focus.yaml").read_text().replace("destinations:\n", f"destinations:\n{AUDIT}")
    (started / "focus.yaml").write_text(text)
    (started / "focus.yaml").write_text(text.replace(AUDIT, f"{AUDIT}    tags: {{ for: audit }}\n"))
    said = run("dimensions", "--destination", "audit").stdout
    assert "destinations[audit].tags.for" in said
    assert "destinations[audit].dimensions.ServiceCategory" in said
    assert "Other (Databases)" in said
    assert "destinations[audit]" not in run("dimensions").stdout
    assert "known destinations: " in run("dimensions", "--destination", "nobody").stderr

    (started / "focus.yaml").write_text(text.replace("Databases", "Database"))
    wrong = run("dimensions", "--destination", "audit")
    assert wrong.returncode == 2
    assert "'Database' is not one of the 19 values of FOCUS; nearest: Databases" in wrong.stderr


AUDIT = """  - name: audit
    url: data/audit
    dimensions: { ServiceCategory: Databases }
"""


def test_demo_with_events_asks_for_the_configuration_that_explains_them(started: Path, run: Run) -> None:
    done = run("demo", "--events", "data/events")
    assert done.returncode == 2
    assert "--events needs --config" in done.stderr


def test_doctor_tells_each_thing_that_is_wrong_and_exits_1(started: Path, run: Run) -> None:
    (started / "data" / "events" / "day.ndjson").unlink()
    (started / "data" / "lake").write_text("a file where the lake should be")
    (started / "data" / "bucket").write_text("")
    done = run("doctor")
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert [line.split()[1] for line in wrong] == ["lake:", "source:", "destination"]
    assert "holds no CloudEvents files" in done.stdout
    assert "3 things are wrong." in done.stdout


def test_doctor_tells_which_meters_have_no_events_and_is_alarmed_where_none_has(
    started: Path, run: Run
) -> None:
    events = started / "data" / "events" / "day.ndjson"
    line = {"specversion": "1.0", "id": "1", "source": "test", "type": "promt", "subject": "ann"}
    events.write_text(json.dumps(line | {"time": "2026-08-15T13:22:07Z", "data": {}}) + "\nno event\n")
    done = run("doctor")
    assert done.returncode == 1
    assert (
        "no event has the event_type of any meter, among 1 events looked at; types there are: 'promt'"
        in done.stdout
    )
    types = {meter["event_type"] for meter in yaml.safe_load((started / "focus.yaml").read_text())["meters"]}
    with events.open("a") as more:
        more.write(json.dumps(line | {"type": min(types), "time": "2026-08-15T13:22:07Z", "data": {}}) + "\n")
    done = run("doctor")
    assert done.returncode == 0
    assert ("no event of type" in done.stdout) == (len(types) > 1)


def test_doctor_tells_who_is_writing_the_lake(started: Path, run: Run) -> None:
    (started / "data" / "lake").mkdir()
    code = (
        "import sys\nfrom focus_assets.lake import Lake\n"
        "with Lake.open('data/lake').writer('a backfill'):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=started, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"held\n"
        done = run("doctor")
        writer.communicate()
    assert done.returncode == 1
    assert "a backfill" in done.stdout


def test_doctor_stops_at_a_configuration_that_cannot_be_used(started: Path, run: Run) -> None:
    (started / "focus.yaml").write_text("start_date: 2026-01-01\n")
    done = run("doctor")
    assert done.returncode == 1
    assert "defaults: is missing" in done.stdout
    assert "lake" not in done.stdout


def test_doctor_probes_a_destination_and_leaves_nothing_there(started: Path, run: Run) -> None:
    done = run("doctor", "--probe")
    assert "can be listed and written" in done.stdout
    assert [path for path in (started / "data" / "bucket" / "finance").rglob("*") if path.is_file()] == []


def test_doctor_finds_a_run_whose_process_is_gone(
    started: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster import DagsterInstance, DagsterRunStatus
    from dagster._core.test_utils import create_run_for_test

    from focus_assets.orchestration.orphans import PROCESS_TAG, process_tags

    home = started / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    host = process_tags()[PROCESS_TAG].rsplit(":", 2)[0]
    with DagsterInstance.from_config(str(home)) as instance:
        create_run_for_test(
            instance, status=DagsterRunStatus.STARTED, tags={PROCESS_TAG: f"{host}:4194305:1"}
        )
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    done = run("doctor")
    assert done.returncode == 1
    assert "1 runs are marked as running, but their processes are gone" in done.stdout
