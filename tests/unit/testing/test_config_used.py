"""A field of a config that nothing reads is found, wherever it is."""

import importlib

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from broker.testing import assert_config_used

PLUGIN = """
    from broker import Observer, hookimpl

    class Reader(Observer):
        in_loop = True

        def __init__(self, config):
            self.config = config
            self.read("made")

        def read(self, when):
            reads.get(when, repr)(self.config)

        async def open(self):
            self.read("opened")

        async def close(self):
            self.read("closed")

        def notify(self, events):
            self.read("told")

    @hookimpl
    def config_schema():
        return schema

    @hookimpl
    def provide_observer(plugin):
        return Reader(plugin.config)
"""

UNREAD = "nothing reads it; use it, remove it, or have `exercise` do what does"
LACKING = "this test's table has no such thing; give it one"


class Paint(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    colour: str = "red"
    coats: int = 1

    @field_validator("colour")
    @classmethod
    def check(cls, colour, info):
        return colour.strip()

    @property
    def litres(self):
        return self.coats / 10


class House(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    door: Paint = Paint()
    rooms: dict[str, tuple[Paint, ...] | None] = {}


@pytest.fixture
def acme(install):
    """Install a plugin with this schema, which does `reads` with its config: by name, when."""

    def install_acme(schema, **reads):
        install("acme", PLUGIN)
        module = importlib.import_module("acme_acme")
        module.schema, module.reads = schema, reads

    return install_acme


@pytest.fixture
def unread(broker_factory):
    """What is told of fields that are not read."""

    async def lines(*arguments, **options):
        with pytest.raises(AssertionError) as failure:
            await assert_config_used(broker_factory, "acme", *arguments, **options)
        return str(failure.value).splitlines()

    return lines


async def test_a_field_that_nothing_reads_is_named(acme, unread):
    acme(Paint, made=lambda paint: paint.colour)

    assert await unread() == [f"plugins.acme.coats: {UNREAD}"]


@pytest.mark.parametrize("when", ["made", "opened", "closed"])
async def test_a_field_may_be_read_whenever_the_plugin_likes(acme, broker_factory, when):
    acme(Paint, **{when: lambda paint: (paint.colour, paint.coats)})

    await assert_config_used(broker_factory, "acme")


async def test_what_is_read_in_use_only_takes_an_exercise(acme, broker_factory, unread):
    acme(Paint, made=lambda paint: paint.colour, told=lambda paint: paint.coats)

    assert await unread() == [f"plugins.acme.coats: {UNREAD}"]
    await assert_config_used(
        broker_factory, "acme", exercise=lambda client: client.create_queue("q")
    )


@pytest.mark.parametrize(
    "look",
    [
        lambda paint: paint.model_dump(),
        lambda paint: paint.model_dump_json(),
        lambda paint: (repr(paint), str(paint), hash(paint), paint == paint.model_copy()),
        lambda paint: dict(paint),
    ],
)
async def test_to_dump_a_config_is_not_to_read_it(acme, unread, look):
    acme(Paint, made=look)

    assert await unread() == [f"plugins.acme.colour: {UNREAD}", f"plugins.acme.coats: {UNREAD}"]


async def test_what_a_property_or_a_copy_reads_is_read(acme, broker_factory):
    acme(Paint, made=lambda paint: (paint.litres, paint.model_copy().colour))

    await assert_config_used(broker_factory, "acme")


async def test_the_fields_of_models_within_count_each(acme, unread):
    acme(House, made=lambda house: (house.door.colour, house.rooms["hall"][0].coats))

    assert await unread({"rooms": {"hall": [{}], "cellar": None}}) == [
        f"plugins.acme.door.coats: {UNREAD}",
        f"plugins.acme.rooms.colour: {UNREAD}",
    ]


async def test_any_of_many_models_will_do(acme, broker_factory):
    def read(house):
        walls, ceiling = house.rooms["hall"]
        return walls.colour, ceiling.coats, house.door.colour, house.door.coats

    acme(House, made=read)

    await assert_config_used(broker_factory, "acme", {"rooms": {"hall": [{}, {}]}})


async def test_models_that_are_not_in_the_table_are_asked_for(acme, unread):
    acme(House, made=lambda house: (house.door.litres, house.door.colour, house.rooms))

    assert await unread() == [
        f"plugins.acme.rooms.colour: {LACKING}",
        f"plugins.acme.rooms.coats: {LACKING}",
    ]


async def test_a_model_that_contains_itself_is_looked_at_once(acme, broker_factory):
    class Box(BaseModel):
        size: int = 1
        inner: "Box | None" = None

    acme(Box, made=lambda box: (box.size, box.inner))

    await assert_config_used(broker_factory, "acme", {"inner": {}})


async def test_the_plugin_sees_the_config_that_it_would_see(acme, broker_factory):
    seen = []
    acme(House, made=lambda house: seen.append((house, house.door.coats)))

    with pytest.raises(AssertionError):
        await assert_config_used(broker_factory, "acme", {"door": {"colour": " blue "}})

    [(house, _)] = seen
    assert isinstance(house, House)
    assert isinstance(house.door, Paint)
    assert house.model_dump() == {"door": {"colour": "blue", "coats": 1}, "rooms": {}}
    assert (house.model_fields_set, house.door.model_fields_set) == ({"door"}, {"colour"})


async def test_nothing_is_left_behind_in_the_plugin(acme, unread):
    acme(House, made=lambda house: house.rooms)

    await unread()

    assert type(House().door) is Paint
    assert House.model_validate({}) == House()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, 'plugin "acme" is not installed; pip install --editable .'),
        (
            "import broker\n@broker.hookimpl\ndef provide_storage(plugin): pass",
            'plugin "acme" implements no hook config_schema',
        ),
    ],
)
async def test_without_a_config_there_is_nothing_to_be_sure_of(install, unread, source, reason):
    if source is not None:
        install("acme", source)

    assert await unread() == [reason]
