"""The GraphQL specification (October 2021), section 6: what the engine makes of documents is what
graphql-core, the reference, makes of them."""

import asyncio

import pytest
from broker import QueueNotFound
from broker_graphql.schema import snake
from graphql import build_schema
from twins import open_twins

SDL = """
  enum Colour { RED DARK_BLUE }
  input Inner { n: Int! = 3 text: String colours: [Colour!] inner: Inner }
  type Query {
    me: Person
    sureMe: Person!
    nobody: Person
    people: [Person]
    surePeople: [Person!]!
    number(n: Int = 5): Int
    sureNumber(n: Int! = 7): Int
    needed(n: Int!): Int
    float(x: Float): Float
    id(id: ID): ID
    text(text: String): String
    flag(flag: Boolean): Boolean
    colour(colour: Colour = RED): Colour
    list(list: [Int!]): [Int!]
    deep(list: [[Int]]): [[Int]]
    matrix: [[Int!]!]!
    brokenMatrix: [[Int!]!]
    seen(inner: Inner, innerList: [Inner!], second: Inner! = {text: "x"}): String
  }
  type Mutation { add(n: Int!): Int fail: Int sureFail: Int! counted: Person }
  type Subscription { ticks: Int }
  type Person {
    name: String!
    nickname: String
    friend: Person
    sureFriend: Person!
    friends: [Person]
    sureFriends: [Person!]
    later: String
    colours: [Colour]
    broken: String
    sureBroken: String!
    lateBroken: String
    sureLateBroken: String!
    nothing: String!
    notFound: Int
    wrongInt: Int
    wrongColour: Colour
    wrongList: [Int]
    greet(name: String! = "you", loud: Boolean = false): String
  }
"""


def make_schema():
    schema = build_schema(SDL)
    for name, value in schema.type_map["Colour"].values.items():
        value.value = name.lower().replace("_", "-")
    return schema


class Person:
    def __init__(self, name, depth=3):
        self.name, self.nickname, self.depth = name, None, depth
        self.colours = ["red", None, "dark-blue"]
        self.nothing, self.wrong_int, self.wrong_list = None, "one", 5
        self.wrong_colour = "green"


def echo(_, __, **arguments):
    return next(iter(arguments.values()), None)


def told(_, __, **arguments):
    return repr(sorted(arguments.items()))


async def friend(_, person):
    return Person(f"{person.name}'s", person.depth - 1)


async def friends(_, person):
    return [Person(f"{person.name}'s", person.depth - 1), None]


async def later(_, person):
    return f"later {person.name}"


def broken(_, __):
    raise RuntimeError("dsn=postgres://user:secret@host")


async def late_broken(_, __):
    raise RuntimeError("dsn=postgres://user:secret@host")


async def not_found(_, __):
    raise QueueNotFound("orders")


async def add(execution, _, *, n):
    execution.deliveries.append(n)
    return sum(execution.deliveries)


async def counted(execution, _):
    return Person(str(execution.deliveries))


def greet(_, person, **arguments):
    return f"{person.name}: {sorted(arguments.items())}"


RESOLVERS = {
    **{
        f"Query.{name}": echo
        for name in "number sureNumber needed float id text flag colour list deep".split()
    },
    "Query.seen": told,
    "Query.me": lambda _, __: Person("Ann"),
    "Query.sureMe": lambda _, __: Person("Ann"),
    "Query.nobody": lambda _, __: None,
    "Query.people": lambda _, __: [Person("Ann"), None, Person("Bob")],
    "Query.surePeople": lambda _, __: (Person("Ann"), Person("Bob")),
    "Query.matrix": lambda _, __: [[1, 2], [], [3]],
    "Query.brokenMatrix": lambda _, __: [[1, None], [2]],
    "Mutation.add": add,
    "Mutation.fail": late_broken,
    "Mutation.sureFail": late_broken,
    "Mutation.counted": counted,
    "Subscription.ticks": lambda _, root: root,
    "Person.friend": friend,
    "Person.sureFriend": friend,
    "Person.friends": friends,
    "Person.sureFriends": friends,
    "Person.later": later,
    "Person.broken": broken,
    "Person.sureBroken": broken,
    "Person.lateBroken": late_broken,
    "Person.sureLateBroken": late_broken,
    "Person.notFound": not_found,
    "Person.greet": greet,
}

DOCUMENTS = [
    # selections, aliases and merging (5.3.2, 6.3.2)
    ("{ me { name } }", {}),
    ("{ me { b: name a: name name } a: me { name } }", {}),
    ("{ me { name } me { nickname friend { name } } me { friend { later } } }", {}),
    ("{ me { ...A ...B } } fragment A on Person { friend { name } }"
     " fragment B on Person { friend { later name } }", {}),
    ("{ me { friend { ...F } ...F } } fragment F on Person { name friend { later } }", {}),
    # __typename anywhere (4.4)
    ("{ __typename me { __typename friend { t: __typename } } people { __typename } }", {}),
    ("mutation { __typename add(n: 1) t: __typename }", {}),
    ("fragment F on Query { __typename } { ...F ...F }", {}),
    # fragments (6.3.2)
    ("{ ... { me { name } } ... on Query { me { ... on Person { nickname } } } }", {}),
    ("{ ...Q } fragment Q on Query { me { ...P } } fragment P on Person { ...R }"
     " fragment R on Person { name ...S } fragment S on Person { nickname }", {}),
    ("{ nobody { ...P } } fragment P on Person { name }", {}),
    # null and lists (6.4.3)
    ("{ nobody { name } people { name } surePeople { name } }", {}),
    ("{ matrix brokenMatrix }", {}),
    ("{ me { colours friends { name } } }", {}),
    # errors, and null where none may be (6.4.4)
    ("{ me { name broken notFound } }", {}),
    ("{ me { name lateBroken later } }", {}),
    ("{ me { name sureBroken } }", {}),
    ("{ me { sureLateBroken } people { name } }", {}),
    ("{ me { nothing } number }", {}),
    ("{ sureMe { name nothing } }", {}),
    ("{ sureMe { sureFriend { sureFriend { nothing } } } }", {}),
    ("{ sureMe { friend { sureFriend { nothing } } } }", {}),
    ("{ people { name sureBroken } }", {}),
    ("{ surePeople { friend { nothing } } }", {}),
    ("{ me { sureFriends { name } } }", {}),
    ("{ me { friends { later nothing friend { name } } } }", {}),
    ("{ me { wrongInt name } }", {}),
    ("{ me { wrongColour name } }", {}),
    ("{ me { wrongList name } }", {}),
    ("{ a: me { broken } b: me { broken c: broken } }", {}),
    ("{ me { friend { ...F } } } fragment F on Person { friend { broken } }", {}),
    # arguments (6.4.1): absent, null, default, by literal and by variable
    ("{ number a: number(n: 1) b: number(n: null) sureNumber needed(n: 0) }", {}),
    ("query ($n: Int) { number(n: $n) sureNumber }", {}),
    ("query ($n: Int) { number(n: $n) }", {"n": None}),
    ("query ($n: Int) { number(n: $n) }", {"n": 9}),
    ("query ($n: Int = 4) { number(n: $n) sureNumber(n: $n) }", {}),
    ("query ($n: Int = 4) { number(n: $n) sureNumber(n: $n) }", {"n": None}),
    ("query ($n: Int = 4) { needed(n: $n) a: needed(n: $n) number }", {"n": None}),
    ("query ($n: Int = null) { number(n: $n) }", {}),
    ("query ($n: Int) { sureNumber(n: $n) }", {}),
    ("query ($n: Int) { me { name } sureNumber(n: $n) }", {"n": None}),
    ("query ($n: Int!) { needed(n: $n) number(n: $n) }", {"n": 2}),
    ("{ me { greet a: greet(loud: true) b: greet(name: \"x\", loud: null) } }", {}),
    ("query ($l: Boolean, $n: String = \"z\") { me { greet(loud: $l, name: $n) } }", {}),
    ("query ($n: String = \"z\") { me { name greet(name: $n) } }", {"n": None}),
    # lists of a single value (3.11)
    ("{ list(list: 1) a: list(list: [1, 2]) b: list(list: null) c: list c2: list(list: []) }", {}),
    ("query ($l: [Int!]) { list(list: $l) }", {"l": 1}),
    ("query ($l: [Int!]) { list(list: $l) }", {"l": [1, 2]}),
    ("query ($n: Int!) { list(list: [1, $n]) a: list(list: [$n]) }", {"n": 3}),
    ("query ($n: Int) { deep(list: [[$n], [1]]) }", {}),
    ("{ deep(list: 1) a: deep(list: [1, 2]) b: deep(list: [[1], null, 2]) }", {}),
    ("query ($l: [[Int]]) { deep(list: $l) }", {"l": 1}),
    ("query ($l: [[Int]]) { deep(list: $l) }", {"l": [1, None, [2, None]]}),
    # enums in and out (3.9)
    ("{ colour a: colour(colour: DARK_BLUE) b: colour(colour: null) }", {}),
    ("query ($c: Colour) { colour(colour: $c) }", {"c": "DARK_BLUE"}),
    ("query ($c: Colour = DARK_BLUE) { colour(colour: $c) seen(inner: {colours: [$c]}) }", {}),
    ("query ($c: [Colour!]) { seen(inner: {colours: $c}) }", {"c": "RED"}),
    # scalars (3.5)
    ("{ float(x: 1) a: float(x: 1.5e3) b: float(x: -0.0) c: number(n: -0) }", {}),
    ("query ($x: Float) { float(x: $x) }", {"x": 3}),
    ("{ id(id: 4) a: id(id: \"4\") b: id(id: 99999999999999999999999) }", {}),
    ("query ($i: ID) { id(id: $i) }", {"i": 4}),
    ("{ number(n: 2147483647) a: number(n: -2147483648) }", {}),
    ('{ text(text: "\\u00e9 \\n \\"") a: text(text: \"\"\"  block\n    quote \"\"\") b: text(text: "") }', {}),
    ("{ flag(flag: true) a: flag(flag: false) b: flag c: flag(flag: null) }", {}),
    # input objects (3.10): absent and null are told apart
    ("{ seen a: seen(inner: {}) b: seen(inner: {text: null}) c: seen(inner: null) }", {}),
    ("{ seen(inner: {n: 1, inner: {inner: {n: 2, colours: RED}}}) }", {}),
    ("query ($t: String) { seen(inner: {text: $t}) }", {}),
    ("query ($t: String) { seen(inner: {text: $t}) }", {"t": None}),
    ("query ($t: String = \"d\") { seen(inner: {text: $t}) }", {}),
    ("query ($n: Int = 8) { seen(inner: {n: $n}) }", {}),
    ("query ($n: Int = 8) { seen(inner: {n: $n}) }", {"n": None}),
    ("query ($n: Int) { seen(inner: {n: $n}) number }", {}),
    ("query ($i: Inner) { seen(inner: $i) }", {}),
    ("query ($i: Inner) { seen(inner: $i) }", {"i": {"text": None, "inner": {"n": 2}}}),
    ("query ($i: Inner = {n: 1}) { seen(inner: $i, second: $i) }", {}),
    ("query ($i: Inner = {n: 1}) { seen(second: $i) }", {"i": None}),
    ("query ($i: Inner!) { seen(innerList: [$i, {}]) a: seen(innerList: {}) }", {"i": {"n": 1}}),
    # @skip and @include (3.13, 6.3.2)
    ("{ me @skip(if: true) { name } number @include(if: false) id(id: 1) @include(if: true) }", {}),
    ("{ number @skip(if: false) @include(if: true) a: number @skip(if: true) @include(if: true)"
     " b: number @skip(if: false) @include(if: false) }", {}),
    ("query ($a: Boolean!, $b: Boolean! = true) { me { name @skip(if: $a) nickname @include(if: $b)"
     " ...F @include(if: $a) ... @skip(if: $b) { later } } } fragment F on Person { friend { name } }",
     {"a": True}),
    ("query ($a: Boolean = true) { number @skip(if: $a) sureNumber @include(if: $a) }", {}),
    ("query ($a: Boolean!) { me { ...F @skip(if: $a) ...F } } fragment F on Person { name }", {"a": True}),
    ("{ ...F @skip(if: true) ...F @include(if: true) } fragment F on Query { number }", {}),
    ("{ me { name @skip(if: true) } }", {}),
    ("{ number @skip(if: true) }", {}),
    ("{ me { name } me @skip(if: true) { nickname } }", {}),
    # mutations, one field after the other (6.2.2)
    ("mutation { a: add(n: 1) b: add(n: 2) counted { name later } c: add(n: 3) }", {}),
    ("mutation { a: add(n: 1) fail b: add(n: 2) counted { name } }", {}),
    ("mutation { a: add(n: 1) sureFail b: add(n: 2) }", {}),
    ("mutation { ...M a: add(n: 1) } fragment M on Mutation { b: add(n: 5) counted { name } }", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def two():
    """The engine and the reference, which belong to no loop once they are open."""
    return asyncio.run(open_twins(make_schema, RESOLVERS))


@pytest.mark.parametrize(("text", "variables"), DOCUMENTS)
async def test_a_document_results_in_what_the_reference_makes_of_it(two, text, variables):
    ours, theirs = await two.both(text, variables)
    assert ours == theirs


async def test_the_operation_of_the_name_is_executed(two):
    text = (
        "query A { number } query B { ...F } mutation C { add(n: 2) } fragment F on Query { list }"
    )
    for name in "ABC":
        ours, theirs = await two.both(text, name=name)
        assert ours == theirs
        assert ours["errors"] == []


async def test_what_another_operation_spreads_asks_for_no_variable_of_this_one(two):
    text = (
        "query A { ...F } query B($b: Boolean!) { ...G ...F } fragment F on Query { list ...H }"
        " fragment G on Query { number @include(if: $b) } fragment H on Query { a: number }"
    )
    for name, variables in (("A", {}), ("B", {"b": True}), ("B", {"b": False}), ("A", {})):
        ours, theirs = await two.both(text, variables, name=name)
        assert ours == theirs
        assert ours["errors"] == []


async def test_an_event_is_what_a_subscription_results_in(two):
    ours, theirs = await two.both("subscription { seen: ticks }", root=7)
    assert ours == theirs == {"data": {"seen": 7}, "errors": []}


async def test_a_document_is_executed_for_other_variables_than_before(two):
    text = "query ($a: Boolean!, $n: Int) { number(n: $n) @skip(if: $a) number2: number(n: $n) }"
    for variables in ({"a": True, "n": 1}, {"a": False, "n": 2}, {"a": True}):
        ours, theirs = await two.both(text, variables)
        assert ours == theirs


class TestWhereItDeviates:
    """Each is in docs/graphql.md, "Where it deviates from the specification"."""

    async def test_each_of_several_errors_that_make_one_null_is_told(self, two):
        ours, theirs = await two.both("{ me { sureFriends { nothing } } }")
        assert [error["path"] for error in theirs["errors"]] == [
            ["me", "sureFriends", 0, "nothing"]
        ]
        assert [error["path"] for error in ours["errors"]] == [
            ["me", "sureFriends", 0, "nothing"],
            ["me", "sureFriends", 1],
        ]
        assert ours["data"] == theirs["data"] == {"me": {"sureFriends": None}}

    async def test_a_condition_that_is_null_is_refused_before_anything_is_executed(self, two):
        text = "query ($a: Boolean = true) { number me { name @skip(if: $a) } }"
        ours, theirs = await two.both(text, {"a": None})
        assert (ours["data"], theirs["data"]) == (None, {"number": 5, "me": None})
        assert [error["code"] for error in ours["errors"]] == ["invalid"]
