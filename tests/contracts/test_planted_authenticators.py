"""The authenticator contract finds what is planted: for each bug, a test that is there for it."""

from itertools import count

import pytest
from planting import failures, planted

from broker import Authenticator, Credentials, Request
from broker.testing import AuthenticatorContract
from contracts.authenticators import KEY, SECONDS, Signed, Tokens, issue, mac
from contracts.planted import authenticators

AGREE = "test_the_documentation_tells_of_what_the_challenge_asks_for"

FOUND_BY = {
    authenticators.TakesBadTokensForNobodys: "test_bad_credentials_are_refused",
    authenticators.RefusesWhatIsSomebodyElses: "test_what_is_not_mine_is_left_to_others",
    authenticators.TakesEveryScheme: "test_the_token_of_another_scheme_is_left_to_others",
    authenticators.AsksForAnotherScheme: "test_the_challenge_asks_for_what_is_taken",
    authenticators.AsksForWhatNoHeaderCanTell: "test_the_challenge_asks_for_what_is_taken",
    authenticators.DescribesAnotherScheme: AGREE,
    authenticators.DescribesACookieOnly: AGREE,
    authenticators.DescribesMoreThanItAsksFor: AGREE,
    authenticators.DescribesInAFormOfItsOwn: AGREE,
    authenticators.DescribesAnotherHeader: "test_the_documentation_tells_of_what_is_read_elsewhere",
    authenticators.DescribesNoSignature: "test_the_documentation_tells_of_what_is_read_elsewhere",
    authenticators.AsksForATokenAndTakesASignature: AGREE,
    authenticators.BreaksOnTokensBeyondASCII: "test_garbage_within_a_token_breaks_nothing",
    authenticators.ComparesTheBeginning: "test_a_changed_character_makes_nobody_of_anybody",
    authenticators.ComparesAsManyAsAreGiven: "test_a_piece_of_a_token_is_not_enough",
    authenticators.IgnoresTheEnd: "test_expired_credentials_are_refused",
    authenticators.LooksAtTheClockOfTheSystem: "test_valid_credentials_are_somebodys",
    authenticators.SaysNoEnd: "test_credentials_are_good_until_they_expire",
    authenticators.RemembersTokensBeyondTheirEnd: "test_expired_credentials_are_refused_also_by_who_remembers_them",
    authenticators.RemembersTheAddress: "test_an_identity_has_the_address_of_who_asks_now",
    authenticators.RemembersThatATokenWasRefused: "test_bad_credentials_stay_bad",
    authenticators.MixesWhoAsks: "test_calls_at_one_time_do_not_mix",
    authenticators.KeepsItsLockWhenNobodyWaits: "test_who_stops_waiting_leaves_it_usable",
    authenticators.LogsTokens: "test_no_secret_is_told",
    authenticators.LogsWhatWasWrongWithTokens: "test_no_secret_is_told",
    authenticators.TellsTheTokenToWhoIsRefused: "test_no_secret_is_told",
    authenticators.TellsTheTokenInACause: "test_no_secret_is_told",
    authenticators.ShowsItsKey: "test_no_secret_is_told",
    authenticators.CallsWhoeverCameByTheToken: "test_no_secret_is_told",
    authenticators.CallsNobodyByAName: "test_valid_credentials_are_somebodys",
    authenticators.CallsEverybodyAnonymous: "test_valid_credentials_are_somebodys",
    authenticators.GivesScopesOfItsOwn: "test_scopes_are_an_action_and_a_glob_of_queues",
    authenticators.GivesOneScopeAsText: "test_scopes_are_an_action_and_a_glob_of_queues",
    authenticators.AnswersYes: "test_valid_credentials_are_somebodys",
    authenticators.BreaksWhileItIsClosed: "test_after_it_was_closed_it_is_right_or_unavailable",
    authenticators.KnowsNoTokenWhileItIsClosed: "test_before_it_is_open_it_is_right_or_unavailable",
    authenticators.ClosesOnce: "test_closing_twice_is_harmless",
    authenticators.BreaksAtAPing: "test_an_open_one_answers_ping",
    authenticators.FindsNoSignatureThatIsMalformed: "test_garbage_where_credentials_stand_is_not_none",
    authenticators.FindsASignatureEverywhere: "test_a_request_without_credentials_has_none",
    authenticators.TakesASignatureInTheHeaderOfTokens: "test_what_is_signed_cannot_be_left_out",
    authenticators.BreaksWhereNoSignatureIs: "test_what_is_not_mine_is_left_to_others",
    authenticators.ReadsLater: "test_valid_credentials_are_somebodys",
    authenticators.SignsNoMoreThanTheBeginning: "test_what_was_signed_cannot_be_changed",
    authenticators.TakesASignatureTwice: "test_what_is_good_once_is_refused_from_then_on",
    authenticators.TakesASignatureTwiceAtOneTime: "test_what_is_good_once_is_so_for_one_of_many_at_one_time",
}
"""For each bug the name of a test that finds it."""


class TestTokens(AuthenticatorContract):
    capabilities = ("expires",)
    secrets = (KEY.decode(),)
    kind = Tokens

    def make_authenticator(self, tmp_path, clock):
        return self.kind(clock)

    async def valid(self, authenticator):
        return bearer(issue("ann", authenticator.clock.now() + SECONDS * 1000))

    async def bad(self, authenticator):
        now = authenticator.clock.now()
        good = issue("ann", now + SECONDS * 1000)
        return {
            "expired": bearer(issue("ann", now)),
            "tampered": bearer(good.replace("ann", "eve")),
            "malformed": bearer("tok.ann"),
        }

    async def foreign(self, authenticator):
        return [bearer("rbt_of.somebody.else")]


class TestSigned(AuthenticatorContract):
    capabilities = ("once",)
    secrets = (KEY.decode(),)
    kind = Signed

    def make_authenticator(self, tmp_path, clock):
        self.numbers = count()
        return self.kind(clock)

    async def valid(self, authenticator):
        body = b"message %d" % next(self.numbers)
        return signed(body, mac(body))

    async def bad(self, authenticator):
        return {
            "of another body": signed(b"body", mac(b"other")),
            "malformed": signed(b"body", "x"),
        }


def bearer(token):
    return Credentials(scheme="bearer", token=token)


def signed(body, signature):
    headers = {"x-signature": signature, "content-type": "text/plain"}
    return Request(method="POST", path="/", headers=headers, body=body)


def contract_of(one):
    base = TestSigned if issubclass(one, Signed) else TestTokens
    # What never ends is found as well after a moment.
    hurry = {"call_seconds": 0.2} if one is authenticators.KeepsItsLockWhenNobodyWaits else {}
    return type("Contract", (base,), {"kind": one, **hurry})


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(tmp_path, bug):
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path) != []


def test_every_planted_bug_is_looked_for():
    assert {*FOUND_BY} == planted(Authenticator, authenticators)
