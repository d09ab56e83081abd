"""Choosing a server."""

import pytest

import broker.serving
from broker.errors import ConfigError
from broker.serving import server_named, with_hypercorn


def test_a_server_is_found_by_its_name():
    assert server_named("hypercorn") is with_hypercorn.serve


def test_a_server_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(broker.serving, "find_spec", lambda name: None)

    with pytest.raises(ConfigError) as caught:
        server_named("granian")

    assert caught.value.exit_code == 78
    assert str(caught.value) == (
        'server.http_server: "granian" is not installed; '
        "install it with: pip install 'replika-broker[granian]'"
    )
