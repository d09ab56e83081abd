"""The contract of transports itself: what it skips, how it tells, what an author can say."""

import subprocess
import sys

import pytest

from broker import PluginError, Transport
from broker.testing import TransportContract

MODULE = """
from broker import Response, Route, Transport
from broker.testing import Probe, TransportContract


class Acme(Transport):
    def routes(self):
        return (Route("GET", "/acme", self.answer), Route("POST", "/acme", self.answer))

    async def answer(self, request):
        return Response()


class TestAcme(TransportContract):
    probes = (Probe(request="GET /acme", public=True, spends=False, stores=False),)
    unprobed = {unprobed}

    def make_transport(self, broker, plugin):
        return Acme()
"""


class Needy(Transport):
    requires = frozenset({"search"})


class NeedyContract(TransportContract):
    def make_transport(self, broker, plugin):
        return Needy()


class Modest(Transport):
    """Requires what is there."""


def run(tmp_path, *options, unprobed="{}"):
    (tmp_path / "test_acme.py").write_text(MODULE.replace("{unprobed}", unprobed))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *options]
    return subprocess.run(
        [*command, "test_acme.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout


def test_what_no_probe_is_about_is_skipped_with_its_reason(tmp_path):
    printed = run(tmp_path, unprobed='{"POST /acme": "it answers as GET does"}')

    assert "test_acme.py::TestAcme keeps contract 1.0" in printed
    for reason in ("no probe streams", "no probe publishes", "no probe needs a permission"):
        assert reason in printed
    assert 'Acme does not declare the capability "requires"' in printed


def test_a_route_without_a_probe_is_told(tmp_path):
    printed = run(tmp_path, "-k", "test_every_route_has_a_probe")

    assert "give each a probe, or say in `unprobed` why there is none" in printed
    assert "POST /acme" in printed


def test_a_run_has_the_name_of_its_probe(tmp_path):
    printed = run(tmp_path, "-v", "-k", "test_head_does_nothing")

    assert "test_head_does_nothing[GET /acme] PASSED" in printed


def test_what_a_transport_requires_is_tested_by_leaving_it_out(tmp_path):
    test = NeedyContract().test_what_it_requires_of_the_storage_is_demanded_at_the_start

    test(tmp_path=tmp_path)


def test_what_is_required_only_where_it_is_there_is_found(tmp_path):
    class Contract(TransportContract):
        def make_transport(self, broker, plugin):
            transport = Modest()
            transport.requires = frozenset({"search"}) & broker.info.capabilities
            return transport

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Contract().test_what_it_requires_of_the_storage_is_demanded_at_the_start(tmp_path=tmp_path)


def test_a_contract_without_a_transport_says_what_is_missing():
    class Forgetful(TransportContract):
        pass

    with pytest.raises(TypeError, match="make_transport"):
        Forgetful()


def test_a_transport_that_cannot_be_made_is_told_by_the_plugin(tmp_path):
    class Contract(TransportContract):
        def make_transport(self, broker, plugin):
            raise LookupError("no port is free")

    with pytest.raises(PluginError, match='"tested".*no port is free'):
        Contract().test_an_open_one_answers_ping(tmp_path=tmp_path)


def test_the_transport_gets_what_its_hook_would(tmp_path):
    given = []

    class Contract(TransportContract):
        def make_transport(self, broker, plugin):
            given.append((broker, plugin))
            return Modest()

    Contract().test_an_open_one_answers_ping(tmp_path=tmp_path)

    broker, plugin = given[-1]
    assert plugin.name == "tested"
    assert plugin.data_dir.is_relative_to(tmp_path)
    assert plugin.clock is broker.clock
