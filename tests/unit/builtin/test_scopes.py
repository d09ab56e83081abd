import pytest

from broker import Identity
from broker.builtin.scopes import ScopeAuthorizer


@pytest.mark.parametrize(
    ("scopes", "action", "queue", "permitted"),
    [
        (["publish:orders-*"], "publish", "orders-eu", True),
        (["publish:orders-*"], "publish", "orders", False),
        (["publish:orders-*"], "consume", "orders-eu", False),
        (["publish:*"], "publish", "anything", True),
        (["publish:Orders"], "publish", "orders", False),  # queue names know case, and so do globs
        (["publish:o[rR]ders"], "publish", "oRders", True),
        (["publish"], "publish", "orders", False),  # not a scope
        (["manage:*"], "read", "orders", False),  # no action implies another
        (["manage:*"], "admin", None, False),
        (["admin"], "admin", None, True),
        (["admin"], "consume", "orders", True),
        ([], "read", "orders", False),  # nothing is permitted by default
    ],
)
def test_scopes_decide(scopes, action, queue, permitted):
    identity = Identity(subject="ana", scopes=frozenset(scopes))

    assert ScopeAuthorizer().permits(identity, action, queue) is permitted


@pytest.mark.parametrize(
    ("scopes", "action", "permitted"),
    [
        (["read:orders-*"], "read", True),
        (["consume:*", "read:q"], "read", True),
        (["consume:*", "manage:*"], "read", False),
        (["reader:*", "read"], "read", False),  # not scopes
        (["admin"], "read", True),
        ([], "read", False),
    ],
)
def test_scopes_tell_whether_there_can_be_a_queue_at_all(scopes, action, permitted):
    identity = Identity(subject="ana", scopes=frozenset(scopes))

    assert ScopeAuthorizer().permits_some(identity, action) is permitted
