"""The contract of transports finds what is planted: for each bug, the test that is there for it."""

import inspect

import pytest
from contracts.planted import transports
from contracts.transports import Tap
from planting import failures, planted

from broker import Transport
from broker.testing import Probe, TransportContract
from broker.testing.transport.each import runs_of

PUBLISH = Probe(request="POST /tap/q", json={"say": "tea"}, action="publish", queue="q", status=201)
LOOK = Probe(request="GET /tap/q", action="read", queue="q")
LEASE = Probe(request="POST /tap/q/lease", action="consume", queue="q", leases=True)
STREAM = Probe(request="GET /tap/q/stream", action="consume", queue="q", leases=True, streams=True)

FOUND_BY = {
    transports.AsksForNoCredentials: "test_without_credentials_it_is_401",
    transports.ChecksWhoAsksAfterwards: "test_without_credentials_it_is_401",
    transports.TakesBadTokensForNone: "test_bad_credentials_never_become_anonymous",
    transports.WantsNoScheme: "test_what_looks_like_no_credentials_is_401",
    transports.DoesNotSayWhatItWants: "test_a_401_says_what_is_wanted",
    transports.ForgetsWhereClientsAre: "test_the_broker_hears_who_asks_and_from_where",
    transports.ActsInItsOwnName: "test_the_permission_is_asked_for_who_asks",
    transports.AsksForAnotherPermission: "test_who_may_only_do_something_else_is_refused",
    transports.TellsOfQueuesThatOneMayNotSee: "test_of_a_queue_that_one_may_not_see_there_is_nothing",
    transports.GoesRoundTheBroker: "test_a_spent_limit_is_429",
    transports.DoesNotSayWhenToComeAgain: "test_a_429_says_when_to_come_again",
    transports.TellsWhatWentWrong: "test_a_bug_is_500_and_only_the_log_tells_of_it",
    transports.TellsWhatNobodyExpected: (
        "test_what_nobody_expected_is_500_and_only_the_log_tells_of_it"
    ),
    transports.KeepsBugsToItself: "test_what_nobody_expected_is_500_and_only_the_log_tells_of_it",
    transports.SaysThatAllIsWell: "test_a_storage_that_is_down_is_503",
    transports.PublishesWhatWasRejected: "test_what_an_interceptor_rejects_is_422_and_says_why",
    transports.ChokesOnBrokenBodies: "test_a_broken_body_is_no_bug",
    transports.WritesTokensToTheLog: "test_no_token_is_told_in_answers_or_in_the_log",
    transports.TellsTokensBack: "test_no_token_is_told_in_answers_or_in_the_log",
    transports.KeepsLeasesOfWhoIsGone: "test_a_client_that_goes_as_its_leases_come_gives_them_back",
    transports.LeasesToWhoLooks: "test_what_leases_nothing_leases_nothing",
    transports.LeasesToWhoAsksForTheHead: "test_head_does_nothing",
    transports.KeepsATask: "test_a_request_leaves_no_task",
    transports.WaitsForEverForWhoIsGone: "test_a_client_that_goes_leaves_no_task",
    transports.KeepsWhatItStreamed: "test_who_leaves_a_stream_gives_its_leases_back",
    transports.StreamsForEver: "test_a_stream_ends_when_the_broker_drains",
    transports.NeverLooksAgainWhoListens: "test_a_stream_ends_with_the_credentials_that_opened_it",
    transports.NeverLooksAgainWhatIsPermitted: "test_a_stream_ends_with_the_permission_that_it_needs",
    transports.IsSilentWhileIdle: "test_an_idle_stream_says_something",
    transports.EndsWhatShouldGoOn: "test_a_stream_goes_on",
    transports.KnowsOneBroker: "test_two_brokers_know_nothing_of_each_other",
    transports.CannotCloseTwice: "test_closing_twice_is_harmless",
    transports.LeavesATaskBehind: "test_closing_leaves_no_task",
    transports.NeedsMoreThanItSays: "test_one_that_requires_nothing_works_with_any_storage",
    transports.HasARouteThatNobodyAsks: "test_every_route_has_a_probe",
    transports.HasOneRouteTwice: "test_no_two_routes_are_the_same",
    transports.TakesARouteOfRest: "test_no_route_is_one_of_rest",
    transports.MakesQueuesOnTheWay: "test_the_broker_hears_who_asks_and_from_where",
}
"""For each bug the name of a test that finds it."""


def contract_of(transport: type[Transport]) -> type[TransportContract]:
    class Contract(TransportContract):
        probes = (PUBLISH, LOOK, LEASE, STREAM)

        def make_transport(self, broker, plugin):
            return transport(broker)

    return Contract


class TestTap(contract_of(Tap)):
    """What the bugs are planted in is sound."""


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(tmp_path, caplog, monkeypatch, bug):
    # What never comes is not waited for as long as what may.
    monkeypatch.setattr("broker.testing.transport.stage.REACH_SECONDS", 1)

    assert found(bug, tmp_path, caplog) != []


def found(transport, tmp_path, caplog):
    contract = contract_of(transport)
    test = getattr(contract, FOUND_BY[transport])
    wanted = inspect.signature(test).parameters
    given = {"caplog": caplog} if "caplog" in wanted else {}
    runs = [run.values for run in runs_of(test, contract.probes)] if "probe" in wanted else [()]
    return [
        failure
        for number, run in enumerate(runs)
        for failure in failures(
            contract,
            test.__name__,
            tmp_path / f"{number}",
            **given,
            **dict(zip(["probe"], run)),
        )
    ]


def test_every_planted_bug_is_looked_for():
    assert {*FOUND_BY} == planted(Transport, transports) - {Tap}
