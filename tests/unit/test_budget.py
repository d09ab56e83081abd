"""A budget of bytes, and the shares that are had of it."""

import pytest

from broker.auth import Identity
from broker.budget import Budget, Share, whose_address, whose_identity
from broker.errors import Overloaded

ONE, ANOTHER, THIRD = (whose_address(f"203.0.113.{number}") for number in (1, 2, 3))


def holding(budget, whose, size):
    share = Share(budget, whose)
    share.hold(size)
    return share


def test_each_may_have_half_of_it():
    budget = Budget(10, "no more")
    holding(budget, ONE, 4)
    holding(budget, ONE, 1)
    with pytest.raises(Overloaded, match=r"^no more$"):
        holding(budget, ONE, 1)

    holding(budget, ANOTHER, 5)


def test_all_together_have_no_more_than_there_is():
    budget = Budget(10, "no more")
    holding(budget, ONE, 4)
    holding(budget, ANOTHER, 4)
    with pytest.raises(Overloaded, match=r"^no more$"):
        holding(budget, THIRD, 3)

    holding(budget, THIRD, 2)


def test_what_is_refused_takes_nothing():
    budget = Budget(10, "no more")
    share = holding(budget, ONE, 1)
    with pytest.raises(Overloaded):
        share.hold(6)

    share.hold(5)


def test_a_share_is_never_less_until_it_is_given_back():
    budget = Budget(10, "no more")
    share = holding(budget, ONE, 5)
    share.hold(1)
    with pytest.raises(Overloaded):
        holding(budget, ONE, 1)
    share.give_back()
    share.give_back()
    holding(budget, ONE, 5)

    with pytest.raises(Overloaded):
        holding(budget, ONE, 1)


def test_who_is_anonymous_is_an_address_and_who_is_known_is_not():
    somebody = Identity(subject="203.0.113.7", peer="203.0.113.7")
    anonymous = Identity(subject="anonymous", peer="::ffff:203.0.113.7", is_anonymous=True)

    assert whose_identity(anonymous) == whose_address("203.0.113.7")
    assert whose_identity(somebody) != whose_identity(anonymous)
