"""Which source a configuration names: event files or a server, never both."""

from __future__ import annotations

from focus_assets_tests.settings.starting import TEXT, loaded, refusal

_CATALOG = TEXT[TEXT.index("meters:") : TEXT.index("destinations:")]
SERVER = (_CATALOG, "source: {openmeter: {url: 'http://localhost:8888', meters: {tokens: {unit: Tokens}}}}\n")


def test_a_server_brings_its_own_catalog() -> None:
    settings = loaded(SERVER)
    assert settings.source.has_catalog
    assert settings.source.openmeter is not None
    assert (settings.source.openmeter.concurrency, settings.source.openmeter.timeout_seconds) == (4, 100)
    assert settings.source.openmeter.meters["tokens"].unit == "Tokens"


def test_the_catalog_may_stand_in_the_file_although_usage_is_a_servers() -> None:
    source = "source: {openmeter: {url: 'http://localhost:8888', catalog: file}}\nmeters:"
    settings = loaded(("meters:", source))
    assert not settings.source.has_catalog
    assert settings.catalog.meter


def test_two_sources_are_refused() -> None:
    both = "source: {cloudevents: {url: a}, openmeter: {url: 'http://localhost', catalog: file}}\nmeters:"
    assert any("names two sources" in line for line in refusal(("meters:", both)))


def test_a_catalog_in_two_places_is_refused() -> None:
    twice = "source: {openmeter: {url: 'http://localhost'}}\nmeters:"
    assert any("meters: is OpenMeter's; leave it out" in line for line in refusal(("meters:", twice)))


def test_a_limit_below_the_servers_own_is_refused() -> None:
    short = "source: {openmeter: {url: 'http://localhost', catalog: file, timeout_seconds: 60}}\nmeters:"
    assert any("timeout_seconds" in line for line in refusal(("meters:", short)))


def test_a_token_does_not_belong_in_the_file() -> None:
    token = "source: {openmeter: {url: 'http://localhost', catalog: file, token: x}}\nmeters:"
    assert any("looks like a secret" in line for line in refusal(("meters:", token)))
