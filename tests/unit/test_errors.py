"""What errors say."""

import pytest

from broker import FieldError, Invalid, Rejected


def test_one_refusal_names_what_all_readers_refuse():
    def refuse(field):
        raise Invalid([FieldError(field, "no")])

    with pytest.raises(Invalid) as raised:
        Invalid.gather(lambda: 1, lambda: refuse("a"), lambda: refuse("b"))

    assert [error.field for error in raised.value.errors] == ["a", "b"]


def test_what_readers_return_comes_in_their_order():
    assert Invalid.gather(lambda: 1, lambda: None, lambda: 2) == [1, None, 2]


def test_an_interceptor_refuses_one_field_or_several():
    errors = [FieldError("messages[0].content", "no"), FieldError("messages[2].content", "no")]

    assert Rejected("no").errors == (FieldError("content", "no"),)
    assert Rejected("no", field="headers").errors == (FieldError("headers", "no"),)
    assert Rejected(errors).errors == tuple(errors)
    assert str(Rejected(errors)) == "messages[0].content: no; messages[2].content: no"
