"""Choosing a server."""

from importlib.metadata import version

import pytest

import hypercorn.protocol

import broker.serving
from broker.errors import ConfigError
from broker.serving import server_named, with_hypercorn
from broker.serving.with_hypercorn import _REPLACED, serve


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


async def test_a_hypercorn_that_has_another_inside_is_refused_and_does_not_serve(monkeypatch):
    monkeypatch.delattr(hypercorn.protocol, "H2Protocol")

    with pytest.raises(ConfigError) as caught:
        await serve(None, None, None)

    assert str(caught.value) == (
        'server.http_server: "hypercorn" does not fit this broker as it is installed '
        f"(hypercorn {version('hypercorn')}, h11 {version('h11')}, h2 {version('h2')}): "
        "hypercorn.protocol has no H2Protocol; "
        "install the versions that it needs with: pip install --upgrade replika-broker"
    )


@pytest.mark.parametrize(("owner", "name"), _REPLACED)
async def test_all_that_is_replaced_is_looked_for(owner, name, monkeypatch):
    monkeypatch.delattr(owner, name)

    with pytest.raises(ConfigError, match=f"{owner.__name__} has no {name};"):
        await serve(None, None, None)
