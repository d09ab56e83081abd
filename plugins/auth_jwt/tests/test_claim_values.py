import pytest

from broker_auth_jwt.claim_values import claim_values

CLAIMS = {
    "scope": "openid  publish:orders",
    "scp": ["read", "write", 7, None, ["nested"]],
    "realm_access": {"roles": ["producer", "with space"]},
    "resource_access": {"my.client": {"roles": ["deep"]}},
    "https://example.com/roles": ["namespaced"],
    "https://example.com/meta": {"roles": ["inside"]},
    "a": {"b": {"c": "inner"}, "b.c": "longest"},
    "count": 3,
    "flag": True,
    "nothing": None,
    "": ["empty"],
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("scope", ["openid", "publish:orders"]),  # words of a string
        ("scp", ["read", "write"]),  # members of a list that are strings
        ("realm_access.roles", ["producer", "with space"]),  # members are taken whole
        ("resource_access.my.client.roles", ["deep"]),  # Keycloak: the client has a dot
        ("https://example.com/roles", ["namespaced"]),  # Auth0
        ("https://example.com/meta.roles", ["inside"]),
        ("a.b.c", ["longest"]),
        ("realm_access", []),  # an object has no values
        ("realm_access.roles.0", []),
        ("scope.openid", []),
        ("count", []),
        ("flag", []),
        ("nothing", []),
        ("missing", []),
        ("missing.roles", []),
        ("realm_access.", []),
        (".", []),
        ("", ["empty"]),
    ],
)
def test_a_path_leads_to_texts(path, values):
    assert list(claim_values(CLAIMS, path)) == values
