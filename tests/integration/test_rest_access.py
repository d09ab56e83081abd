"""Who may do what: credentials, scopes, what is hidden and what is refused."""

import pytest

SCOPES = """
    from broker import Authenticator, Identity, Unauthenticated, hookimpl

    class Tokens(Authenticator):
        async def authenticate(self, credentials):
            if credentials.scheme != "bearer":
                return None
            if credentials.token == "expired":
                raise Unauthenticated("the token expired", challenge='Bearer error="invalid_token"')
            scopes = frozenset(credentials.token.split(","))
            return Identity(subject="tester", scopes=scopes, peer=credentials.peer)

    @hookimpl
    def provide_authenticator(plugin):
        return Tokens()
"""


@pytest.fixture
def guarded(serve, install):
    """A broker with a queue `q` and a leased message 1, whose tokens are lists of scopes."""
    install("tokens", SCOPES)
    call = serve(plugins=["memory", "tokens"])
    admin = bearer("admin")
    call("POST", "/queues", json={"name": "q"}, headers=admin)
    call("POST", "/queues/q/messages", json={"content": ""}, headers=admin)
    call("GET", "/queues/q/messages/consume", headers=admin)
    return call


def bearer(scopes):
    return {"Authorization": f"Bearer {scopes}"}


def everything(call):
    return call("GET", "/queues", headers=bearer("admin")).json


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, "Bearer"),
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        ("Bearer ", "Bearer"),
        (" admin", "Bearer"),
        ("Béarer admin", "Bearer"),
        ("Basic YWRtaW46YWRtaW4=", "Bearer"),
        ("Bearer expired", 'Bearer error="invalid_token"'),
    ],
)
def test_who_is_not_known_is_told_how_to_become_known(guarded, authorization, challenge):
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = guarded("POST", "/queues/q/messages", json={"content": 1}, headers=headers)

    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == challenge


PASSWORDS = """
    from broker import Authenticator, Identity, Unauthenticated, hookimpl

    class Passwords(Authenticator):
        challenge = 'Basic realm="broker"'

        async def authenticate(self, credentials):
            if credentials.scheme != "basic":
                return None
            if credentials.token != "YW5uOmFubg==":
                raise Unauthenticated("the password is wrong")
            return Identity(subject="ann", scopes=frozenset({"read:q"}), peer=credentials.peer)

    @hookimpl
    def provide_authenticator(plugin):
        return Passwords()
"""


ANN = {"Authorization": "Basic YW5uOmFubg=="}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("authorization", [None, "Basic", "Basic YTpi", "Bearer abc"])
def test_what_the_enabled_authenticators_take_is_asked_for(serve, install, authorization, method):
    install("passwords", PASSWORDS)
    call = serve(plugins=["memory", "passwords"])
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = call(method, "/queues/q/messages", headers=headers)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="broker"')


def test_who_lacks_a_scope_is_not_asked_for_a_token_where_nobody_takes_one(serve, install):
    install("passwords", PASSWORDS)
    call = serve(plugins=["memory", "passwords"])

    answer = call("POST", "/queues", json={"name": "q"}, headers=ANN)

    assert (answer.status, answer.json["detail"]) == (403, 'this needs the scope "manage:q"')
    assert "www-authenticate" not in answer.headers


def test_several_authenticators_ask_for_several_schemes(serve, install):
    install("passwords", PASSWORDS)
    install("tokens", SCOPES)
    call = serve(plugins=["memory", "passwords", "tokens"])

    assert call("GET", "/queues").headers["www-authenticate"] == 'Basic realm="broker", Bearer'


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize(
    "tokens", [("admin", "admin"), ("expired", "admin"), ("admin", "expired"), ("admin", "")]
)
def test_of_two_authorization_headers_none_counts(serve, install, tokens, anonymous):
    install("tokens", SCOPES)
    call = serve(plugins=["memory", "tokens"], anonymous=anonymous)
    headers = [("Authorization", f"Bearer {token}") for token in tokens]

    for method, path in [("GET", "/queues"), ("POST", "/queues/q/messages/lease")]:
        answer = call(method, path, headers=[headers[0], ("Accept", "*/*"), headers[1]])

        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json["detail"] == (
            'expected one Authorization header, a scheme and a token: "Bearer ..."'
        )


def test_other_headers_may_come_twice(guarded):
    headers = [*bearer("admin").items(), ("Accept", "text/html"), ("Accept", "*/*")]

    assert guarded("GET", "/queues", headers=headers).status == 200


@pytest.mark.parametrize("authorization", ["bearer admin", "BEARER  admin "])
def test_the_scheme_of_credentials_has_no_case(guarded, authorization):
    assert guarded("GET", "/queues", headers={"Authorization": authorization}).status == 200


def test_bad_credentials_never_become_anonymous(call):
    assert call("GET", "/queues", headers=bearer("x")).status == 401


NEEDS = [
    ("GET", "/stats", None, "admin"),
    ("GET", "/logs", None, "admin"),
    ("POST", "/queues", {"name": "q2"}, "manage:q2"),
    ("GET", "/queues/q", None, "read:q"),
    ("PUT", "/queues/q", {}, "manage:q"),
    ("PATCH", "/queues/q", {}, "manage:q"),
    ("DELETE", "/queues/q", None, "manage:q"),
    ("POST", "/queues/q/messages", {"content": ""}, "publish:q"),
    ("POST", "/queues/q/messages/batch", {"messages": [{"content": ""}]}, "publish:q"),
    ("POST", "/queues/q/messages/lease", {}, "consume:q"),
    ("GET", "/queues/q/messages/consume", None, "consume:q"),
    ("GET", "/queues/q/messages", None, "read:q"),
    ("POST", "/queues/q/purge", {}, "manage:q"),
    ("POST", "/queues/q/redrive", {}, "manage:q"),
    ("POST", "/queues/q/pause", {}, "manage:q"),
    ("POST", "/queues/q/resume", {}, "manage:q"),
    ("POST", "/messages/settle", {"publish": [{"queue": "q", "content": ""}]}, "publish:q"),
    ("POST", "/messages/1/ack", {}, "consume:q"),
    ("POST", "/messages/1/nack", {}, "consume:q"),
    ("POST", "/messages/1/extend", {}, "consume:q"),
    ("POST", "/messages/1/release", {}, "consume:q"),
    ("GET", "/messages/1", None, "read:q"),
    ("DELETE", "/messages/1", None, "manage:q"),
]
CASES = [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in NEEDS]


@pytest.mark.parametrize(("method", "path", "body", "scope"), CASES)
def test_the_scope_that_a_route_names_is_enough(guarded, method, path, body, scope):
    answer = guarded(method, path, json=body, headers=bearer(scope))

    assert answer.status < 300, answer.body


@pytest.mark.parametrize(("method", "path", "body", "scope"), CASES)
def test_who_sees_a_queue_without_the_scope_is_told_which_is_missing(
    guarded, method, path, body, scope
):
    action, _, queue = scope.partition(":")
    others = {"read", "consume", "publish", "manage"} - {action}
    before = everything(guarded)

    token = ",".join(f"{other}:{queue or '*'}" for other in sorted(others))
    answer = guarded(method, path, json=body, headers=bearer(token))

    assert (answer.status, answer.json["detail"]) == (403, f'this needs the scope "{scope}"')
    assert f'scope="{scope}"' in answer.headers["www-authenticate"]
    assert everything(guarded) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"), [case for case in CASES if case.values[3] != "admin"]
)
def test_what_an_identity_may_not_see_is_not_there(guarded, method, path, body, scope):
    before = everything(guarded)
    token = ",".join(f"{action}:other" for action in ("read", "consume", "publish", "manage"))

    answer = guarded(method, path, json=body, headers=bearer(token))

    assert answer.status == 404
    assert everything(guarded) == before


def test_the_list_shows_what_the_identity_may_see(guarded):
    for name in ("a.1", "b.1", "b.2"):
        guarded("POST", "/queues", json={"name": name}, headers=bearer("admin"))

    answer = guarded("GET", "/queues?limit=2", headers=bearer("read:b.*"))

    assert [queue["name"] for queue in answer.json] == ["b.1", "b.2"]


def test_who_manages_a_queue_sees_the_queue_that_was_changed(guarded):
    answer = guarded("PATCH", "/queues/q", json={}, headers=bearer("manage:q"))

    assert answer.json["message_count"] == 1


def test_what_is_asked_is_not_checked_before_who_asks(guarded):
    assert guarded("POST", "/queues", body=b"{", content_type="application/json").status == 401


def test_the_address_of_a_client_is_that_of_its_socket(guarded, monkeypatch):
    seen = []
    [(_, authenticator)] = guarded.assembly.providers.authenticators
    authenticate = authenticator.authenticate

    async def spy(credentials):
        seen.append(credentials.peer)
        return await authenticate(credentials)

    monkeypatch.setattr(authenticator, "authenticate", spy)
    headers = {**bearer("admin"), "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}

    guarded("GET", "/queues", headers=headers)

    assert seen == ["203.0.113.7"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_where_all_are_let_in_pages_of_other_origins_are_not(call, headers):
    call("POST", "/queues", json={"name": "q"})
    call("POST", "/queues/q/messages", json={"content": "x"})
    plain = {"Content-Type": "text/plain", **headers}

    for method, path in (
        ("POST", "/queues/q/messages"),
        ("GET", "/queues/q/messages/consume"),
        ("POST", "/queues/q/pause"),
        ("GET", "/stats"),
        ("GET", "/logs"),
    ):
        answer = call(method, path, headers=plain if method == "POST" else headers)
        assert (answer.status, answer.json["code"]) == (403, "cross-site"), path
    assert call("GET", "/", headers=headers).status == 200
    queue = call("GET", "/queues/q").json
    assert (queue["counts"]["pending"], queue["counts"]["processing"]) == (1, 0)


def test_pages_of_any_origin_may_ask_with_credentials(guarded):
    for headers in ({"Origin": "http://app.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = guarded("GET", "/queues", headers={**bearer("admin"), **headers})
        assert answer.status == 200
