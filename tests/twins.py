"""One schema executed twice: by graphql-core alone, which is the reference, and by the engine."""

import logging
import re
from inspect import iscoroutinefunction, isawaitable
from types import SimpleNamespace

from broker import BrokerError, Identity
from broker.testing import ManualClock
from broker_graphql.gate.documents import Document
from broker_graphql.engine import Engine
from broker_graphql.execution import Execution
from broker_graphql.fields import make_fields
from broker_graphql.gate.refusal import Refused
from graphql import GraphQLError, execute, get_variable_values, parse, validate

UNRESOLVED = ("__schema", "__type")
FAULTS = re.compile("cannot represent|Expected Iterable")


def make_execution():
    """Return an execution with nothing behind it."""
    broker = SimpleNamespace(served=SimpleNamespace(last_error=None), clock=ManualClock())
    identity = Identity(subject="somebody", scopes=frozenset())
    return Execution(broker, identity, request_id="r-1", logger=logging.getLogger("twins"))


class Twins:
    """Executes documents by the engine, and by graphql-core with the same resolvers."""

    def __init__(self, engine, make_schema, resolvers):
        self.engine = engine
        self._known = {}
        self.schema = make_schema()
        for place, field in make_fields(self.schema, resolvers).items():
            kind, _, name = place.partition(".")
            if not place.startswith("__") and name not in UNRESOLVED:
                self.schema.type_map[kind].fields[name].resolve = _resolve_by(field.resolve)

    async def both(self, text, variables=None, *, name=None, root=None, begin=make_execution):
        """Return what the engine and what graphql-core makes of a document: the data, and of each
        error its path, its code and where in the document it is."""
        document = self._read(text)
        options = {"name": name, "root": root}
        return (
            await self._ours(document, variables or {}, execution=begin(), **options),
            await self._theirs(document, variables or {}, execution=begin(), **options),
        )

    def _read(self, text):
        if text not in self._known:
            tree = parse(text)
            errors = validate(self.schema, tree)
            assert not errors, errors
            self._known[text] = Document(tree)
        return self._known[text]

    async def _ours(self, document, variables, *, name, root, execution):
        node = document.operation(name)
        values = get_variable_values(self.schema, node.variable_definitions or (), variables)
        assert not isinstance(values, list), values
        try:
            plan = self.engine.prepare(document, node, values)
        except Refused as refused:
            return _told(None, [_tell(error, "invalid") for error in refused.errors])
        result = await self.engine.execute(plan, execution, root=root)
        errors = [_tell(error, error["extensions"]["code"]) for error in result.get("errors", ())]
        return _told(result["data"], errors)

    async def _theirs(self, document, variables, *, name, root, execution):
        result = execute(self.schema, document.tree, root, execution, variables, name)
        if isawaitable(result):
            result = await result
        errors = [_tell(error.formatted, _code(error)) for error in result.errors or ()]
        return _told(result.data, errors)


async def open_twins(make_schema, resolvers):
    """Open the engine for a schema, which is made anew for graphql-core."""
    engine = Engine(make_schema(), resolvers)
    await engine.open()
    return Twins(engine, make_schema, resolvers)


def _resolve_by(resolve):
    if iscoroutinefunction(resolve):

        async def resolver(source, info, **arguments):
            return await resolve(info.context, source, **arguments)

        return resolver
    return lambda source, info, **arguments: resolve(info.context, source, **arguments)


def _code(error):
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        return "internal" if FAULTS.search(error.message) else "invalid"
    return original.code if isinstance(original, BrokerError) else "internal"


def _tell(error, code):
    return {"path": error.get("path"), "locations": error.get("locations"), "code": code}


def _told(data, errors):
    return {"data": data, "errors": sorted(errors, key=str)}
