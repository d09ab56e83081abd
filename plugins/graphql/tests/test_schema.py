"""The schema, compared with the objects of the broker that it tells of."""

import inspect
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from broker import Draft, Event, Message, QueuePolicy, QueueStatus, limits
from broker.extend import EventKind
from broker.models import SettleKind, SettleOutcome, StateFilter
from broker_graphql.assembly import RESOLVERS
from broker_graphql.fields import PATHS
from broker_graphql.schema import make_schema, snake
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    specified_scalar_types,
)

SCHEMA = make_schema()
KINDS = {name: kind for name, kind in SCHEMA.type_map.items() if not name.startswith("__")}
OBJECTS = [kind for kind in KINDS.values() if isinstance(kind, GraphQLObjectType)]
INPUTS = [kind for kind in KINDS.values() if isinstance(kind, GraphQLInputObjectType)]
ENUMS = {name: kind for name, kind in KINDS.items() if isinstance(kind, GraphQLEnumType)}
FIELDS = [(f"{kind.name}.{name}", field) for kind in OBJECTS for name, field in kind.fields.items()]
ARGUMENTS = [
    (f"{place}({name}:)", argument)
    for place, field in FIELDS
    for name, argument in field.args.items()
]

BEHIND_ANY = {"Queue": QueueStatus, "Message": Message}
"""What the objects of connections are, which hold either."""

UNTOLD = {"maintenance.done"}
"""What happens to the broker alone."""

TAKEN = {
    "String": {str},
    "ID": {int, str},
    "Int": {int},
    "Long": {int},
    "Float": {float, int},
    "Boolean": {bool},
    "DateTime": {int},
}
"""What of Python is told as which scalar."""


def alternatives(hint):
    """Return the types that a hint allows."""
    if get_origin(hint) is Annotated:
        return alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return {one for part in get_args(hint) for one in alternatives(part)}
    return {hint}


def source_of(place, sources):
    """Return the hint of what a field is told from: a resolver, or an attribute of its source."""
    if place in RESOLVERS:
        return get_type_hints(RESOLVERS[place])["return"]
    kind, _, name = place.partition(".")
    hint = sources[kind]
    for attribute in PATHS.get(place, snake(name)).split("."):
        found = inspect.getattr_static(hint, attribute)
        if isinstance(found, property):
            hint = get_type_hints(found.fget)["return"]
        else:
            hint = get_type_hints(hint)[attribute]
    return hint


def check(kind, hint, found):
    """Assert that what has this hint can be told as this type, and note of what objects it is."""
    if isinstance(kind, GraphQLNonNull):
        assert NoneType not in alternatives(hint)
        return check(kind.of_type, hint, found)
    hints = alternatives(hint) - {NoneType}
    if isinstance(kind, GraphQLList):
        [hint] = hints
        assert get_origin(hint) in (list, tuple, Sequence)
        return check(kind.of_type, get_args(hint)[0], found)
    if isinstance(kind, GraphQLObjectType):
        [hint] = hints
        return found.setdefault(kind.name, set()).add(
            BEHIND_ANY[kind.name] if hint is Any else hint
        )
    if isinstance(kind, GraphQLEnumType):
        words = {word for one in hints for word in get_args(one)} - UNTOLD
        assert words <= {value.value for value in kind.values.values()}
        return None
    written = {str if get_origin(one) is Literal else one for one in hints}
    assert written <= TAKEN[kind.name]
    return None


def test_each_field_is_told_from_something_of_its_type():
    sources = {"Query": NoneType, "Mutation": NoneType, "Subscription": NoneType}
    while True:
        found = {}
        for place, field in FIELDS:
            if place.partition(".")[0] in sources:
                check(field.type, source_of(place, sources), found)
        assert all(len(hints) == 1 for hints in found.values()), found
        more = {name: next(iter(hints)) for name, hints in found.items()} | sources
        if more == sources:
            break
        sources = more
    assert set(sources) == {kind.name for kind in OBJECTS}


@pytest.mark.parametrize("place", RESOLVERS)
def test_a_resolver_takes_the_arguments_that_its_field_has(place):
    kind, _, name = place.partition(".")
    field = SCHEMA.type_map[kind].fields[name]
    parameters = inspect.signature(RESOLVERS[place]).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    taken = {one.name: one for one in parameters if one.kind is one.KEYWORD_ONLY}
    given = {argument.out_name: argument for argument in field.args.values()}
    assert taken.keys() == given.keys()
    for name, argument in given.items():
        may_lack = not isinstance(argument.type, GraphQLNonNull) and argument.default is None
        assert (taken[name].default is None) is may_lack


def test_everything_is_described():
    inputs = [(f"{kind.name}.{n}", field) for kind in INPUTS for n, field in kind.fields.items()]
    words = [
        (f"{name}.{n}", word) for name, kind in ENUMS.items() for n, word in kind.values.items()
    ]
    everything = [*KINDS.items(), *FIELDS, *ARGUMENTS, *inputs, *words]
    own = [(where, what) for where, what in everything if where not in specified_scalar_types]
    assert [where for where, what in own if not (what.description or "").endswith(".")] == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MessageState", StateFilter),
        ("SettleKind", SettleKind),
        ("SettleOutcome", SettleOutcome),
        ("Overflow", get_type_hints(QueuePolicy)["overflow"]),
        ("Ordering", get_type_hints(QueuePolicy)["ordering"]),
    ],
)
def test_an_enum_has_the_words_of_the_broker(name, hint):
    told = [value.value for value in ENUMS[name].values.values()]
    assert sorted(told) == sorted(get_args(hint))


def test_clients_are_told_of_all_events_but_those_of_the_broker_alone():
    told = {value.value for value in ENUMS["EventKind"].values.values()}
    assert told == set(get_args(EventKind)) - UNTOLD


@pytest.mark.parametrize("name", ["QueuePolicy", "QueuePolicyInput"])
def test_a_policy_has_the_fields_of_the_broker(name):
    hints = get_type_hints(QueuePolicy)
    fields = SCHEMA.type_map[name].fields
    assert [snake(field) for field in fields] == list(QueuePolicy.__struct_fields__)
    for field, one in fields.items():
        may_be_null = NoneType in alternatives(hints[snake(field)])
        if name == "QueuePolicy":
            assert isinstance(one.type, GraphQLNonNull) is not may_be_null


def test_a_message_has_the_fields_of_a_draft():
    given = {field.out_name for field in SCHEMA.type_map["MessageInput"].fields.values()}
    assert given - {"content", "content_base64"} == set(Draft.__struct_fields__) - {"queue", "body"}


def test_an_event_has_the_fields_of_the_broker():
    told = {PATHS.get(f"Event.{name}", snake(name)) for name in SCHEMA.type_map["Event"].fields}
    assert told == set(Event.__struct_fields__) - {"subject", "peer"}


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("Query.queues(first:)", f"1 to {limits.MAX_PAGE}."),
        ("Queue.messages(first:)", f"1 to {limits.MAX_PAGE}."),
        ("PlainQueue.messages(limit:)", f"1 to {limits.MAX_PAGE}."),
        ("Mutation.publishMessages(messages:)", f"1 to {limits.MAX_BATCH_MESSAGES}."),
        ("Mutation.lease(limit:)", f"1 to {limits.MAX_LEASE_MESSAGES}."),
        ("Mutation.lease(wait:)", f"0 to {limits.MAX_WAIT_SECONDS}."),
    ],
)
def test_a_description_names_the_limit_of_the_broker(place, text):
    assert text in dict(ARGUMENTS)[place].description


@pytest.mark.parametrize("field", QueuePolicy.__struct_fields__)
def test_a_description_names_the_default_of_a_policy(field):
    default = getattr(QueuePolicy(), field)
    [name] = [name for name in SCHEMA.type_map["QueuePolicyInput"].fields if snake(name) == field]
    text = SCHEMA.type_map["QueuePolicyInput"].fields[name].description
    words = {"retain_processed": "a day", "retain_failed": "two weeks", "paused": "false"}
    if default is not None:
        told = words.get(field) or (default.upper() if isinstance(default, str) else f"{default}")
        assert f"{told} unless it is given" in text
