"""What routes tell of themselves."""

from broker import Answer, Body, Description, Route


async def handler(request):
    """Do something."""


def test_described_routes_can_be_told_apart_and_be_keys():
    """Whatever their descriptions hold: types and examples that have no hash."""
    first, second = (
        Route(
            "GET",
            "/x",
            handler,
            described=Description(
                name="do_it", tag="x", takes=(Body(dict, {}),), answers=(Answer(list, []),)
            ),
        )
        for _ in range(2)
    )

    assert {first: 1, second: 2}[first] == 1


def test_a_description_says_what_most_routes_say():
    described = Description(name="do_it", tag="x")

    assert described.needs == ()
    assert [(answer.status, answer.kind) for answer in described.answers] == [(200, None)]
