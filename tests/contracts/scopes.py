"""What the authorizer that goes by scopes permits, and what it does not."""

from broker import Identity
from broker.builtin.scopes import ScopeAuthorizer
from broker.testing import AuthorizerContract

ANN = Identity(subject="ann", scopes=frozenset({"publish:orders-*", "read:*", "consume:mail"}))
ROOT = Identity(subject="root", scopes=frozenset({"admin"}))
ODD = Identity(subject="odd", scopes=frozenset({"publish", ":", "manage:[", "read:", "Admin"}))


class Scopes(AuthorizerContract):
    kind = ScopeAuthorizer

    def make_authorizer(self, tmp_path, clock):
        return self.kind()

    def permitted(self):
        return [
            (ANN, "publish", "orders-eu"),
            (ANN, "publish", "orders-"),
            (ANN, "read", "payments"),
            (ANN, "consume", "mail"),
            (ROOT, "manage", "orders-eu"),
            (ROOT, "admin", None),
        ]

    def denied(self):
        return [
            (ANN, "publish", "orders"),
            (ANN, "publish", "ORDERS-eu"),
            (ANN, "publish", "my-orders-eu"),
            (ANN, "consume", "mail-eu"),
            (ANN, "consume", "ma"),
            (ANN, "manage", "orders-eu"),
            (ANN, "admin", "orders-eu"),
            (ANN, "admin", None),
            (ANN, "read", None),
            (ODD, "publish", "publish"),
            (ODD, "read", "orders"),
            (ODD, "admin", None),
        ]
