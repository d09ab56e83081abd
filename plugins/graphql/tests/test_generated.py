"""Whatever valid operation comes, it is answered, and a query as graphql-core answers it."""

import asyncio
import json
from collections import Counter

import pytest
from broker_graphql.assembly import RESOLVERS
from broker_graphql.schema import make_schema
from generated import MUTATIONS, QUERIES, QUEUES, for_each_operation
from graphs import ADMIN, graph
from twins import Twins


pytestmark = pytest.mark.timeout(600)


class Asking:
    """One broker that answers everything that is generated, and its twin."""

    def __init__(self, one):
        self.one = one
        executor = one.transport.executor
        self.twins = Twins(executor._engine, make_schema, RESOLVERS)
        self.begin = lambda: executor.begin(ADMIN, request_id="r-1", recheck=None)
        self.statuses = Counter()

    async def ask(self, query):
        """Have an operation answered, or refused for a reason."""
        response = await self.one.post({"query": query})
        result = json.loads(response.body)
        codes = {error["extensions"]["code"] for error in result.get("errors", ())}
        assert "internal" not in codes, result
        assert self.one.broker.served.last_error is None
        assert response.status in (200, 400)
        self.statuses[response.status] += 1
        return response.status

    async def compare(self, query):
        """Have a query answered by both, unless it is refused."""
        if await self.ask(query) == 200:
            ours, theirs = await self.twins.both(query, begin=self.begin)
            assert ours == theirs


@pytest.fixture
def run(tmp_path):
    """Run a check of an Asking, again and again."""
    with asyncio.Runner() as runner:
        opened = graph(tmp_path)
        one = runner.run(opened.__aenter__())
        runner.run(one.make(*QUEUES))
        runner.run(one.publish("orders", "a", "b", "", "\\x00", "é"))
        asking = Asking(one)

        def run(check, query):
            runner.run(check(asking, query))

        yield run
        runner.run(opened.__aexit__(None, None, None))
    assert asking.statuses[200] > asking.statuses[400]


@pytest.mark.parametrize("field", QUERIES)
def test_a_query_is_answered_as_graphql_core_does(run, field):
    for_each_operation(field)(lambda query: run(Asking.compare, query))()


@pytest.mark.parametrize("field", MUTATIONS)
def test_a_mutation_is_answered(run, field):
    for_each_operation(field)(lambda query: run(Asking.ask, query))()


def test_operations_of_many_fields_are_answered(run):
    for_each_operation()(lambda query: run(Asking.ask, query))()
