import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from focus_assets.catalog.models import TieredPrice
from focus_assets.settings import ConfigurationError, NoConfiguration, Settings
from focus_assets_tests.settings.starting import TEXT, loaded


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOCUS_ASSETS_CONFIG", raising=False)


def written(path: Path, start: str = "2026-08-01") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT.replace("2026-08-01", start))
    return path


def test_prices_are_exactly_what_was_written() -> None:
    price = loaded().catalog.plan["pro"].rate_cards[0].price
    assert isinstance(price, TieredPrice)
    assert [tier.unit_price for tier in price.tiers] == [Decimal("0.1"), Decimal("0.0000001")]


def test_relative_places_count_from_the_files_folder_not_the_working_directory(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path / "sub" / "focus.yaml"))
    assert settings.destinations[0].url == str(tmp_path / "sub" / "out")
    assert settings.lake.url == str(tmp_path / "sub" / "data" / "lake")
    assert settings.sql_path == tmp_path / "sub" / "data" / "focus.duckdb"
    assert settings.source.cloudevents.url == str(tmp_path / "sub" / "data" / "events")
    assert settings.config_path == tmp_path / "sub" / "focus.yaml"


def test_credit_that_is_older_than_the_first_day_is_let_through_with_opening_zero() -> None:
    old = "credits:\n  - {key: gift, customer: acme, amount: 5, effective_at: 2026-07-31}\ndestinations:"
    settings = loaded(("start_date:", "opening: zero\nstart_date:"), ("destinations:", old))
    [grant] = settings.catalog.credits
    assert (grant.amount, grant.effective_at.date()) == (Decimal(5), dt.date(2026, 7, 31))


def test_credit_that_ended_before_the_first_day_is_of_no_day_and_refused_by_none() -> None:
    ended = "credits:\n  - {key: gift, customer: acme, amount: 5, effective_at: 2026-07-01, expires_at: 2026-08-01}"
    settings = loaded(("destinations:", f"{ended}\ndestinations:"))
    assert settings.catalog.on(settings.start_date).credits == ()


def test_a_url_stays_as_it_is() -> None:
    assert loaded(("url: out", "url: s3://bucket/prefix/")).destinations[0].url == "s3://bucket/prefix"


def test_a_named_file_goes_before_the_environment_and_that_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "focus.yaml", "2026-01-01")
    assert Settings.load().start_date == dt.date(2026, 1, 1)
    monkeypatch.setenv("FOCUS_ASSETS_CONFIG", str(written(tmp_path / "env.yaml", "2026-01-02")))
    assert Settings.load().start_date == dt.date(2026, 1, 2)
    assert Settings.load(written(tmp_path / "named.yaml", "2026-01-03")).start_date == dt.date(2026, 1, 3)


def test_without_any_configuration_the_ways_to_one_are_told() -> None:
    with pytest.raises(NoConfiguration, match=r"focus-assets init.*--config"):
        Settings.load()


def test_a_named_file_that_is_absent_is_an_error_and_never_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOCUS_ASSETS_CONFIG", "absent.yaml")
    with pytest.raises(ConfigurationError, match=r"absent.yaml: named by FOCUS_ASSETS_CONFIG"):
        Settings.load()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "line 1: holds nothing"),
        (b"- a\n", "line 1: holds no mapping"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: 1\na: 2\n", "line 2: key 'a' stands twice"),
        (b"a: [", "is not YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_so(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "focus.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=what):
        Settings.load(path)


def test_now_is_as_of_where_that_is_set_else_the_clock() -> None:
    set_to = loaded(("defaults:", "as_of: 2026-10-02T00:00:00Z\ndefaults:"))
    assert set_to.now() == dt.datetime(2026, 10, 2, tzinfo=dt.UTC)
    assert abs(loaded().now() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_s3_options_name_the_server_and_carry_no_keys() -> None:
    settings = loaded(
        (
            "destinations:",
            "lake: {url: s3://b/p, s3: {endpoint_url: http://localhost:9000, region: eu}}\n"
            "local_destinations: true\ndestinations:",
        )
    )
    assert settings.lake.options == {
        "endpoint": "http://localhost:9000",
        "region": "eu",
        "allow_http": "true",
    }


def test_an_unknown_destination_is_refused_with_the_known_ones() -> None:
    assert loaded().destination("local").focus_version == "1.2"
    with pytest.raises(ConfigurationError, match="known destinations: local"):
        loaded().destination("elsewhere")
