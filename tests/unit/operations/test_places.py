import pytest

from broker import Identity, Overloaded, TooManyWaiting
from broker.operations.places import waiting_places

ANA, BOB, EVE = (Identity(subject=name) for name in ("ana", "bob", "eve"))


def make(most=3, most_each=2):
    return waiting_places(most, most_each)


def take(places, *identities):
    taken = [places.place(identity) for identity in identities]
    for place in taken:
        place.take()
    return taken


def nobody(peer):
    return Identity(subject="anonymous", peer=peer, is_anonymous=True)


def test_one_identity_has_no_more_places_than_it_may():
    places = make()
    take(places, ANA, ANA)

    with pytest.raises(TooManyWaiting) as refused:
        take(places, ANA)

    assert str(refused.value) == (
        "2 of your requests wait already, which is what broker.max_waiting_per_identity allows; "
        "try again when some of them have ended"
    )
    take(places, BOB)


def test_all_together_have_no_more_places_than_there_are():
    places = make()
    take(places, ANA, ANA, BOB)

    with pytest.raises(Overloaded, match="^too many requests wait; try again soon"):
        take(places, EVE)


def test_a_place_is_taken_once_however_often_it_is_asked_for():
    places = make(most=1)
    [place] = take(places, ANA)

    place.take()

    with place:
        pass
    take(places, ANA)


def test_who_was_refused_gives_nothing_back():
    places = make(most_each=1)
    take(places, ANA)

    for _ in range(3):
        with pytest.raises(TooManyWaiting), places.place(ANA) as place:
            place.take()

    with pytest.raises(TooManyWaiting):
        take(places, ANA)


def test_who_never_waited_gives_nothing_back():
    places = make(most=1)
    take(places, ANA)

    with places.place(BOB):
        pass

    with pytest.raises(Overloaded):
        take(places, BOB)


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
    ],
)
def test_without_an_identity_an_address_counts(first, second, are_one):
    places = make(most_each=1)
    take(places, nobody(first))

    if are_one:
        with pytest.raises(TooManyWaiting):
            take(places, nobody(second))
    else:
        take(places, nobody(second))


def test_a_user_who_is_called_like_an_address_is_not_that_address():
    places = make(most_each=1)

    take(places, nobody("203.0.113.7"), Identity(subject="203.0.113.7"))


def test_nothing_is_remembered_of_who_is_gone():
    places = make()
    for place in take(places, ANA, ANA, nobody("203.0.113.7")):
        with place:
            pass

    assert (places.in_all, places._taken) == (0, {})
