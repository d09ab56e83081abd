"""The authorizer contract, kept by the one that goes by scopes."""

from contracts.scopes import Scopes


class TestScopeAuthorizer(Scopes):
    contract = "1.0"
