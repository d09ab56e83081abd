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
