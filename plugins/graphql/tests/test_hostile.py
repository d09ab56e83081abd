"""What hostile clients send is refused soon, before anything of it is executed."""

import json
import time
from contextlib import asynccontextmanager

from graphs import ADMIN, graph
from hostile import corpus
from hypothesis import given
from hypothesis import strategies as st

from broker import BrokerError
from broker_graphql.gate.asking import read_asked
from broker_graphql.gate.refusal import Refused

CORPUS = list(corpus())


class Gate:
    """What stands before the engine."""

    def __init__(self, one):
        self.executor = one.transport.executor
        self.config = one.transport._config
        self.executor._engine.prepare = self.prepare
        self.let_through = 0

    def prepare(self, document, node, values):
        self.let_through += 1

    def refusal(self, body):
        """Return the status and the errors by which a body is refused, or None."""
        try:
            self.executor.prepare(read_asked(body, self.config), ADMIN)
        except Refused as error:
            return error.status, error.errors
        except BrokerError as error:
            return error.status, [{"message": str(error), "extensions": {"code": error.code}}]
        return None

    def seconds(self, body):
        """Return how long the processor takes to refuse a body that it does not know."""
        self.executor._documents._known.clear()
        start = time.process_time()
        self.refusal(body)
        return time.process_time() - start


@asynccontextmanager
async def gate(tmp_path, **config):
    async with graph(tmp_path, **config) as one:
        yield Gate(one)


async def test_each_is_refused_for_its_own_reason_and_the_engine_sees_nothing(tmp_path):
    async with gate(tmp_path) as one:
        for hostile in CORPUS:
            status, errors = one.refusal(hostile.body)
            told = errors[0]["extensions"]
            found = status, told["code"], told.get("limit")
            assert found == (hostile.status, hostile.code, hostile.limit), (hostile.name, errors)
            if hostile.received is not None:
                assert told["received"] == hostile.received, hostile.name
        assert one.let_through == 0


async def test_a_limit_is_told_with_what_it_allows_and_what_came(tmp_path):
    async with gate(tmp_path) as one:
        for hostile in CORPUS:
            if hostile.limit is not None:
                [error] = one.refusal(hostile.body)[1]
                told = error["extensions"]
                for word in (told["limit"], told["allowed"], told["received"]):
                    assert str(word) in error["message"], hostile.name
                assert told["allowed"] == getattr(one.config, told["limit"])
                assert told["allowed"] < told["received"], hostile.name


async def test_the_answer_is_json_and_not_much_larger_than_the_question(tmp_path):
    async with gate(tmp_path) as one:
        for hostile in CORPUS:
            errors = one.refusal(hostile.body)[1]
            assert len(json.dumps(errors).encode()) < 3_000 + 3 * len(hostile.body), hostile.name


async def test_each_is_refused_within_50_milliseconds_of_the_processor(tmp_path):
    async with gate(tmp_path) as one:
        late = {each.name for each in CORPUS if not is_in_time(one, each.body)}
    assert late == set()


def is_in_time(one, body):
    """Tell whether it ever is: what else the machine does takes time of this process, too."""
    return any(one.seconds(body) < 0.05 for _ in range(20))


WORDS = st.sampled_from(
    [
        *'{}[]()":!$@|&=,#\\',
        "...",
        '"""',
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "me",
    ]
    + [
        "queues",
        "first",
        "nodes",
        "name",
        "__schema",
        "__typename",
        "types",
        "1",
        "-1",
        "1e9",
        "null",
    ]
    + [
        "$a",
        "Int",
        "a",
        "@skip",
        "if",
        "true",
        "\n",
        "\x00",
        "\ufeff",
        "\ud7ff",
        "é",
        "𐀀",
        "\\u{41}",
    ]
)
DOCUMENTS = st.lists(WORDS, max_size=60).map(" ".join) | st.text(max_size=200)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
KEYS = st.sampled_from(["query", "variables", "operationName", "extensions", "documentId", "other"])
BODIES = (
    st.binary(max_size=300)
    | DOCUMENTS.map(lambda text: json.dumps({"query": text}).encode())
    | st.dictionaries(KEYS, VALUES | DOCUMENTS).map(lambda body: json.dumps(body).encode())
    | VALUES.map(lambda body: json.dumps(body).encode())
)


async def test_whatever_comes_is_refused_or_may_be_executed_and_nothing_else_happens(tmp_path):
    async with gate(tmp_path) as one:

        @given(BODIES)
        def ask(body):
            refused = one.refusal(body)
            if refused is not None:
                status, errors = refused
                assert status in (400, 413)
                assert all(error["message"] and error["extensions"]["code"] for error in errors)

        ask()
