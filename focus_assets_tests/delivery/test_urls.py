"""Where a destination may not be."""

from pathlib import Path

import pytest

from focus_assets.delivery import DestinationError, check_destinations
from focus_assets.settings import Destination


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
