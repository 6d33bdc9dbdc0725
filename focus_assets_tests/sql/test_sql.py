import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from focus_assets.billing.datasets import BILLING_DATASETS
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import USAGE_DATASETS, USAGE_TOTALS
from focus_assets.delivery.restatements import RESTATEMENTS
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.schema import internal_schema, version_schema
from focus_assets.lake import CorruptPartition, Lake
from focus_assets.settings import LakeSettings, Settings
from focus_assets.sql import SqlProblem, create_views, query
from focus_assets.sql.view_file import ViewFileProblem
from focus_assets_tests.s3_server import S3Bucket

DAY = dt.date(2026, 8, 1)
NEXT = dt.date(2026, 8, 2)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"))


def settings(lake: Lake) -> Settings:
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Acme"}})
    return Settings(start_date=DAY, catalog=catalog, lake=LakeSettings(url=lake.url))


def charge_rows(day: dt.date, cost: str) -> pl.LazyFrame:
    schema = internal_schema()
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    row = dict.fromkeys(schema) | {
        "BilledCost": Decimal(cost),
        "ServiceName": "S",
        "ChargePeriodStart": start,
    }
    return pl.LazyFrame([row], schema=schema)


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect(str(path), read_only=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_every_dataset_and_version_has_a_view_before_anything_was_written(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "focus.duckdb"
    assert create_views(path, lake)
    names = [
        name for (name,) in rows(path, "select view_name from duckdb_views() where not internal order by 1")
    ]
    versions = [f"focus_{version.replace('.', '_')}" for version in VERSIONS]
    assert names == sorted(
        [
            *(d.name for d in (*USAGE_DATASETS, *BILLING_DATASETS, RESTATEMENTS)),
            "deliveries",
            "focus_cost_and_usage",
            *versions,
        ]
    )
    assert all(rows(path, f"select count(*) from {name}") == [(0,)] for name in names)


def test_an_empty_view_has_the_types_of_a_filled_one(tmp_path: Path, lake: Lake) -> None:
    described = (
        "select column_name, data_type from duckdb_columns() "
        "where table_name <> 'views' order by table_name, column_index"
    )
    create_views(tmp_path / "empty.duckdb", lake)
    lake.write("focus_cost_and_usage", DAY, charge_rows(DAY, "1"))
    for dataset in (*USAGE_DATASETS, *BILLING_DATASETS, RESTATEMENTS):
        lake.write(dataset.name, DAY, dataset.empty())
    create_views(tmp_path / "filled.duckdb", lake)
    assert rows(tmp_path / "empty.duckdb", described) == rows(tmp_path / "filled.duckdb", described)


def test_a_version_has_exactly_its_columns_in_order(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "focus.duckdb"
    lake.write("focus_cost_and_usage", DAY, charge_rows(DAY, "1"))
    create_views(path, lake)
    for version in VERSIONS:
        described = rows(path, f"describe focus_{version.replace('.', '_')}")
        assert [column[0] for column in described] == list(version_schema(version))


def test_costs_are_summed_exactly(tmp_path: Path, lake: Lake) -> None:
    for n in range(10):
        day = DAY + dt.timedelta(days=n)
        lake.write("focus_cost_and_usage", day, charge_rows(day, "0.100000000000000001"))
    create_views(tmp_path / "focus.duckdb", lake)
    total = rows(tmp_path / "focus.duckdb", "select ServiceName, sum(BilledCost) from focus_1_2 group by 1")
    assert total == [("S", Decimal("1.000000000000000010"))]


def test_a_day_that_is_written_later_is_seen_without_a_new_file(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "focus.duckdb"
    lake.write("focus_cost_and_usage", DAY, charge_rows(DAY, "1"))
    create_views(path, lake)
    lake.write("focus_cost_and_usage", NEXT, charge_rows(NEXT, "2"))
    assert rows(path, "select sum(BilledCost) from focus_1_2") == [(Decimal(3),)]
    assert not create_views(path, lake)


def test_the_file_is_left_untouched_while_its_views_stay_the_same(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "focus.duckdb"
    assert create_views(path, lake)
    before = path.read_bytes()
    assert not create_views(path, lake)
    assert path.read_bytes() == before
    lake.write(USAGE_TOTALS.name, DAY, USAGE_TOTALS.empty())
    assert create_views(path, lake)


def test_a_reader_that_has_the_old_file_open_is_not_disturbed(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "focus.duckdb"
    create_views(path, lake)
    reader = duckdb.connect(str(path), read_only=True)
    lake.write("focus_cost_and_usage", DAY, charge_rows(DAY, "1"))
    assert create_views(path, lake)
    assert reader.execute("select count(*) from focus_1_2").fetchall() == [(0,)]
    reader.close()
    assert rows(path, "select count(*) from focus_1_2") == [(1,)]


def test_something_else_in_the_files_place_is_replaced_and_nothing_is_left_beside_it(
    tmp_path: Path, lake: Lake
) -> None:
    path = tmp_path / "sql" / "focus.duckdb"
    path.parent.mkdir()
    path.write_text("not a database")
    assert create_views(path, lake)
    assert [found.name for found in path.parent.iterdir()] == ["focus.duckdb"]


def test_a_file_that_cannot_be_written_says_that_the_data_is_complete(tmp_path: Path, lake: Lake) -> None:
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ViewFileProblem, match="The datasets are complete"):
        create_views(tmp_path / "blocked" / "focus.duckdb", lake)


def test_a_lake_whose_folder_looks_like_a_pattern_is_read_alone(tmp_path: Path) -> None:
    for name, cost in (("a[1]*'s", "1"), ("a1b's", "2")):
        Lake.open(str(tmp_path / name)).write("focus_cost_and_usage", DAY, charge_rows(DAY, cost))
    lake = Lake.open(str(tmp_path / "a[1]*'s"))
    create_views(tmp_path / "focus.duckdb", lake)
    assert rows(tmp_path / "focus.duckdb", "select BilledCost from focus_1_2") == [(Decimal(1),)]
    assert query(settings(lake), "select BilledCost from focus_1_2").rows == [(Decimal(1),)]


def test_the_day_of_a_catalog_row_is_known(lake: Lake) -> None:
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Acme"}})
    for day in (DAY, NEXT):
        lake.write("catalog", day, catalog.to_frame())
    found = query(settings(lake), "select charge_date, key from catalog order by 1")
    assert found.columns == ("charge_date", "key")
    assert found.rows == [(DAY, "defaults"), (NEXT, "defaults")]


def test_a_question_needs_no_file_and_sees_the_lake_as_it_is(lake: Lake) -> None:
    assert query(settings(lake), "select count(*) from focus_1_2").rows == [(0,)]
    lake.write("focus_cost_and_usage", DAY, charge_rows(DAY, "1"))
    assert query(settings(lake), "select ChargePeriodStart from focus_1_2;").rows == [
        (dt.datetime(2026, 8, 1, tzinfo=dt.UTC),)
    ]


@pytest.mark.parametrize(
    "sql", ["", "select 1; select 2", "selec 1", "select * from nowhere", "select nothing"]
)
def test_what_is_not_one_good_statement_is_refused(lake: Lake, sql: str) -> None:
    with pytest.raises(SqlProblem):
        query(settings(lake), sql)


@pytest.mark.s3
def test_a_lake_in_a_bucket_is_asked_through_proven_copies_and_gets_no_file(
    tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    lake = Lake.open(f"s3://{s3_bucket.name}/lake")
    for day in (DAY, NEXT):
        lake.write("focus_cost_and_usage", day, charge_rows(day, "1.5"))
    assert not create_views(tmp_path / "focus.duckdb", lake)
    assert not (tmp_path / "focus.duckdb").exists()
    with_cte = "with f as (select * from focus_1_2) select sum(BilledCost), (select count(*) from usage_totals) from f"
    assert query(settings(lake), with_cte).rows == [(Decimal(3), 0)]
    lake.store.put(lake.path("focus_cost_and_usage", NEXT), b"damaged")
    with pytest.raises(CorruptPartition):
        query(settings(lake), with_cte)
