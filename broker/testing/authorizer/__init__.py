"""The authorizer contract: what is permitted, and that nothing else is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

from hypothesis import strategies as st

from broker.auth import QUEUE_ACTIONS, Action, Authorizer, Identity
from broker.errors import Unavailable
from broker.testing.authorizer.bench import AuthorizerBench, Question, noted
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made
from broker.testing.drawing import for_all
from broker.testing.opening import Opening

__all__ = ["AuthorizerBench", "AuthorizerContract", "Question"]

ACTIONS: tuple[Action, ...] = (*QUEUE_ACTIONS, "admin")

NOBODY = Identity(subject="nobody-8d1f3c5e")

UNHEARD_OF = "8d1f3c5e-is-no-queue"

NO_ACTIONS = ("", "*", "publis", "publish:", "publishing", "PUBLISH", "read-all", "fly")


class AuthorizerContract(Opening, Contract):
    """Subclass it in a test module, return your authorizer, and say what it permits.

    ANN = Identity(subject="ann", scopes=frozenset({"publish:orders-*"}))

    class TestAcmeAuthorizer(AuthorizerContract):
        contract = "1.0"

        def make_authorizer(self, tmp_path, clock):
            return AcmeAuthorizer()

        def permitted(self):
            return [(ANN, "publish", "orders-eu")]

        def denied(self):
            return [(ANN, "publish", "payments"), (ANN, "consume", "orders-eu")]
    """

    @abstractmethod
    def make_authorizer(self, tmp_path: Path, clock: ManualClock) -> Authorizer:
        """Return an authorizer, not opened. The kit opens and closes it."""

    @abstractmethod
    def permitted(self) -> Sequence[Question]:
        """Return what it permits: who, what, and with which queue, None for what concerns none."""

    @abstractmethod
    def denied(self) -> Sequence[Question]:
        """Return what it does not permit."""

    def make_bench(self, tmp_path: Path) -> AuthorizerBench:
        """Return a bench with an authorizer of its own."""
        clock = ManualClock()
        return AuthorizerBench(partial(made, Authorizer, self.make_authorizer, tmp_path, clock))

    def subject(self, bench: AuthorizerBench) -> tuple[str, frozenset[str]]:
        """Return the authorizer's class name; there are no capabilities."""
        return type(bench.authorizer).__name__, frozenset()

    async def test_what_is_permitted_is_permitted(self, bench: AuthorizerBench) -> None:
        assert self.permitted(), "`permitted` has to name something"
        assert [question for question in self.permitted() if not bench.permits(question)] == []

    async def test_what_is_denied_is_denied(self, bench: AuthorizerBench) -> None:
        assert self.denied(), "`denied` has to name something"
        assert [question for question in self.denied() if bench.permits(question)] == []

    async def test_who_has_nothing_may_do_nothing(self, bench: AuthorizerBench) -> None:
        anonymous = Identity(subject="anonymous", is_anonymous=True)
        for identity in (NOBODY, anonymous):
            for action in ACTIONS:
                assert not bench.permits((identity, action, UNHEARD_OF))
                assert not bench.permits((identity, action, None))

    async def test_an_action_that_nobody_knows_is_not_permitted(
        self, bench: AuthorizerBench
    ) -> None:
        for name in NO_ACTIONS:
            action = cast("Action", name)
            assert not bench.permits((NOBODY, action, UNHEARD_OF))
            for identity, queue in self._users(bench):
                assert not bench.permits((identity, action, queue)), (identity, name)

    async def test_what_concerns_no_queue_has_an_answer(self, bench: AuthorizerBench) -> None:
        for identity in self._identities():
            for action in ACTIONS:
                bench.permits((identity, action, None))

    async def test_the_same_question_has_the_same_answer(self, bench: AuthorizerBench) -> None:
        questions = [*self.permitted(), *self.denied()]
        answers = [bench.permits(question) for question in questions]
        for _ in range(3):
            assert [bench.permits(question) for question in questions] == answers
        assert [bench.permits(question) for question in reversed(questions)] == answers[::-1]

    async def test_the_answer_to_one_is_not_that_to_another(self, bench: AuthorizerBench) -> None:
        """Ask each question for somebody else, too, in the other order of another authorizer."""
        other = bench.another()
        await other.open()
        questions = [(NOBODY, action, queue) for _, action, queue in self.permitted()]
        before = [bench.permits(question) for question in questions]
        for question in (*self.permitted(), *self.denied()):
            bench.permits(question, other)
        after = [bench.permits(question, other) for question in questions]
        await other.close()
        assert after == before

    async def test_who_may_do_it_with_some_queue_is_never_told_otherwise(
        self, bench: AuthorizerBench
    ) -> None:
        for identity, action, queue in self.permitted():
            if queue is not None:
                assert bench.permits_some(identity, action), (identity, action)
        for identity in self._identities():
            for action in ACTIONS:
                bench.permits_some(identity, action)

    async def test_any_name_of_a_queue_has_an_answer(self, bench: AuthorizerBench) -> None:
        async def check(question: tuple[Identity, Action, str]) -> None:
            identity, action, queue = question
            if bench.permits(question):
                assert bench.permits_some(identity, action)
            assert not bench.permits((NOBODY, action, f"{UNHEARD_OF}{queue}"))

        identities = st.sampled_from(self._identities())
        await for_all(st.tuples(identities, st.sampled_from(ACTIONS), names()), check)

    async def test_any_identity_has_an_answer(self, bench: AuthorizerBench) -> None:
        async def check(asked: tuple[Identity, Action]) -> None:
            identity, action = asked
            if bench.permits((identity, action, "orders")):
                assert bench.permits_some(identity, action)
            bench.permits((identity, action, None))

        identities = st.builds(Identity, subject=st.text(), scopes=st.frozensets(scopes()))
        await for_all(st.tuples(identities, st.sampled_from(ACTIONS)), check)

    async def test_it_answers_from_memory(self, bench: AuthorizerBench) -> None:
        with noted() as waits:
            for identity, action, queue in (*self.permitted(), *self.denied()):
                bench.permits((identity, action, queue))
                bench.permits((identity, action, UNHEARD_OF))
                bench.permits_some(identity, action)
        assert waits == []

    async def test_what_is_not_open_permits_nothing_that_is_denied(
        self, bench: AuthorizerBench
    ) -> None:
        unopened = bench.another()
        await bench.authorizer.close()
        for authorizer in (unopened, bench.authorizer):
            for question in (*self.denied(), (NOBODY, "admin", None)):
                with suppress(Unavailable):
                    assert not bench.permits(question, authorizer), question

    async def _check_works(self, bench: AuthorizerBench) -> None:
        assert all(bench.permits(question) for question in self.permitted())

    def _identities(self) -> list[Identity]:
        asked = (*self.permitted(), *self.denied())
        return [NOBODY, *{identity for identity, _, _ in asked}]

    def _users(self, bench: AuthorizerBench) -> list[tuple[Identity, str | None]]:
        """Return who may do something with which queue, but for those who may do everything."""
        return [
            (identity, queue)
            for identity, _, queue in self.permitted()
            if not bench.permits((identity, "admin", None))
        ]


def names() -> st.SearchStrategy[str]:
    """Return what draws names, of queues and of what can be none."""
    named = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True)
    return st.one_of(named, st.text(max_size=40), st.sampled_from(["*", "[", "[!a", "?", "\n", ""]))


def scopes() -> st.SearchStrategy[str]:
    """Return what draws scopes, also such as nobody should have."""
    glob = st.text("abo*?[]!-.:", max_size=10)
    return st.one_of(
        st.text(max_size=20), st.builds("{}:{}".format, st.sampled_from(ACTIONS), glob)
    )
