"""Where a destination may not be."""

from pathlib import Path

import pytest

from focus_assets.delivery import DestinationError, check_destinations
from focus_assets.settings import Destination
from focus_assets.settings.models import resolve_url


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/../other",
        "s3://bucket/a/../../b",
        "s3://bucket/%2e%2e/b",
        "s3://bucket/a%2Fb",
        "s3://bucket/a\\..\\b",
        "s3://bucket/a?versionId=1",
        "s3://bucket/a#b",
        "s3://",
        "s3:///prefix",
        "ftp://host/folder",
        "https://bucket.s3.amazonaws.com/x",
        "file://host/folder",
        "file:///data/../etc",
        "file:///data/%2e%2e/etc",
        "/data/../etc",
        "/data/\x00",
        " ",
    ],
)
def test_an_unsafe_url_is_refused_by_name(url):
    with pytest.raises(DestinationError, match=r"^destination mine: .*Nothing was delivered"):
        check_destinations("/lake", [Destination(name="mine", url=url)])


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(DestinationError) as raised:
        check_destinations("/lake", [Destination(name="mine", url="s3://key:canary@bucket/x")])

    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("lake", "url"),
    [
        ("/data/lake", "/data/lake"),
        ("/data/lake", "/data/lake/out"),
        ("/data/lake", "file:///data/lake/out"),
        ("s3://bucket/lake", "s3://bucket/lake/out"),
        ("s3://bucket", "s3://bucket/out"),
    ],
)
def test_a_destination_inside_the_lake_is_refused(lake, url):
    with pytest.raises(DestinationError, match="lies in the lake"):
        check_destinations(lake, [Destination(name="mine", url=url)])


def test_a_link_is_no_way_into_the_lake(tmp_path: Path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")

    with pytest.raises(DestinationError, match="lies in the lake"):
        check_destinations(
            str(tmp_path / "lake"), [Destination(name="mine", url=str(tmp_path / "link" / "x"))]
        )


@pytest.mark.parametrize(
    "url", ["/data/lake-2", "s3://bucket/lakes", "/data/out", "gs://bucket/x", "az://container/x"]
)
def test_a_destination_beside_the_lake_is_allowed(url):
    check_destinations("/data/lake", [Destination(name="mine", url=url)])
    check_destinations("s3://bucket/lake", [Destination(name="mine", url=url)])


def test_two_destinations_may_not_share_a_url():
    with pytest.raises(DestinationError, match="also the URL of one"):
        check_destinations(
            "/lake",
            [Destination(name="one", url="s3://bucket/x"), Destination(name="two", url="s3://bucket/x/")],
        )


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("s3://bucket/x", "s3://bucket/x/y"),
        ("s3://bucket", "s3://bucket/a/b/c"),
        ("gs://bucket/x/", "gs://bucket/x/y/"),
        ("/data/out", "file:///data/out/acme"),
    ],
)
def test_a_destination_inside_another_is_refused_whichever_comes_first(outer, inner):
    """Readers of the outer could read the inner's rows, and the ledger of the outer would be rebuilt from both."""
    both = [Destination(name="outer", url=outer), Destination(name="inner", url=inner)]
    for order in (both, both[::-1]):
        with pytest.raises(DestinationError) as raised:
            check_destinations("/lake", order)
        assert str(raised.value).startswith(
            f"destination inner: {inner} lies in {outer} of destination outer"
        )


def test_a_link_is_no_way_into_another_destination(tmp_path: Path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outer")
    with pytest.raises(DestinationError, match=r"lies in .* of destination outer"):
        check_destinations(
            "/lake",
            [
                Destination(name="outer", url=str(tmp_path / "outer")),
                Destination(name="inner", url=str(tmp_path / "link" / "x")),
            ],
        )


def test_a_destination_around_the_lake_is_refused():
    with pytest.raises(DestinationError, match="the lake, s3://bucket/lake, lies in s3://bucket: who"):
        check_destinations("s3://bucket/lake", [Destination(name="mine", url="s3://bucket")])


def test_prefixes_that_begin_alike_are_beside_each_other():
    urls = ["s3://bucket/a", "s3://bucket/ab", "s3://other/a/b", "gs://bucket/a/b", "/bucket/a/b"]
    check_destinations("/lake", [Destination(name=f"d{n}", url=url) for n, url in enumerate(urls)])


@pytest.mark.parametrize("url", ["s3:/bucket/mine", "s3:bucket/mine", "gcs:/bucket/mine"])
def test_a_url_that_lacks_a_slash_is_no_folder_of_this_machine(url: str, tmp_path: Path):
    """Its customer would wait for files that lie in a folder ``s3:`` here."""
    meant = resolve_url(url, tmp_path)
    with pytest.raises(DestinationError, match=r"destination mine: .* two slashes after its scheme"):
        check_destinations("/lake", [Destination(name="mine", url=meant)])
    assert resolve_url("s3", tmp_path) == str(tmp_path / "s3")
