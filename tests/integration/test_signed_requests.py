"""Requests that prove by a signature who sends them: they have no header Authorization."""

import hmac

import pytest

SIGNED = """
    import hmac
    from broker import Authenticator, Credentials, Identity, Unauthenticated, hookimpl

    class Signed(Authenticator):
        def read(self, request):
            signature = request.headers.get("x-signature")
            if signature == "break":
                raise RuntimeError
            if signature is None:
                return None
            return Credentials(
                scheme="acme:signature", token=signature, payload=request.body, peer=request.peer
            )

        async def authenticate(self, credentials):
            if credentials.scheme != "acme:signature":
                return None
            expected = hmac.digest(b"secret", credentials.payload, "sha256").hex()
            if not hmac.compare_digest(expected, credentials.token):
                raise Unauthenticated("the signature is not right")
            return Identity(
                subject="ann", scopes=frozenset(["admin"]), peer=credentials.peer
            )


    @hookimpl
    def provide_authenticator(plugin):
        return Signed()
"""
TEXT = {"content_type": "text/plain"}
JSON = {"content_type": "application/json"}
QUEUE = b'{"name": "q"}'
PUBLISH = ("POST", "/queues/q/messages")


def sign(body=b""):
    return {"x-signature": hmac.digest(b"secret", body, "sha256").hex()}


@pytest.fixture
def start(serve, install):
    """Start a broker that knows ann by her signature."""
    install("signed", SIGNED)

    def start(*others, **settings):
        call = serve(plugins=["memory", "signed", *others], **settings)
        assert call("POST", "/queues", body=QUEUE, headers=sign(QUEUE), **JSON).status == 201
        return call

    return start


def test_a_signed_request_is_that_of_who_signed_it(start):
    call = start()

    assert call(*PUBLISH, body=b"hello", headers=sign(b"hello"), **TEXT).status == 201
    answer = call("GET", "/queues/q/messages/consume", headers=sign())
    assert (answer.status, answer.json["content"]) == (200, "hello")
    assert call("HEAD", "/queues/q", headers=sign()).status == 200


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize(
    ("headers", "status"),
    [(sign(b"other"), 401), ({"x-signature": ""}, 401), ({"x-signature": "break"}, 503)],
)
def test_a_bad_signature_never_becomes_anonymous(start, anonymous, headers, status):
    call = start(anonymous=anonymous)

    assert call(*PUBLISH, body=b"hello", headers=headers, **TEXT).status == status
    assert call("GET", "/queues", headers=headers).status == status
    assert call("HEAD", "/queues", headers=headers).status == status
    assert call("GET", "/queues/q/messages/stream", headers=headers).status == status


def test_a_request_without_a_signature_is_nobodys(start):
    assert start()(*PUBLISH, body=b"hello", **TEXT).status == 401


@pytest.mark.parametrize(
    "body", [b"x" * 65_537, [b"x" * 65_536, b"x"]], ids=["announced", "chunked"]
)
def test_a_signed_body_is_no_larger_than_what_is_read_of_everybody(start, body):
    call = start()
    whole = body if isinstance(body, bytes) else b"".join(body)

    refused = call(*PUBLISH, body=body, headers=sign(whole), **TEXT)
    too_large = call("POST", "/queues", body=body, headers=sign(whole), **TEXT)
    largest = call(*PUBLISH, body=whole[1:], headers=sign(whole[1:]), **TEXT)

    assert (refused.status, refused.json["detail"]) == (
        401,
        "credentials are missing: of a body, no more than 65536 bytes are read before the header "
        "Authorization says who sends it",
    )
    assert (too_large.status, largest.status) == (413, 201)


@pytest.mark.parametrize(("headers", "status"), [(sign(b"x" * 65_537), 201), (sign(), 401)])
def test_where_everybody_may_send_a_large_body_its_signature_is_checked(start, headers, status):
    call = start(anonymous=True)

    assert call(*PUBLISH, body=b"x" * 65_537, headers=headers, **TEXT).status == status


@pytest.mark.parametrize("path", ["/events/ticket", "/events/session"])
def test_no_ticket_and_no_session_is_made_of_a_signature(start, path):
    call = start("sse", anonymous=True)

    refused = call("POST", path, headers=sign())
    assert (refused.status, refused.json["detail"]) == (
        401,
        "tickets and sessions stand for the header Authorization",
    )
    assert call("POST", path, headers=sign(b"other")).status == 401
    assert call("POST", path).status in (201, 204)


def test_graphql_takes_signed_requests(start):
    pytest.importorskip("broker_graphql")
    call = start("graphql", anonymous=True)
    body = b'{"query": "{ me { subject } }"}'

    asked = call("POST", "/graphql", body=body, headers=sign(body), **JSON)
    assert asked.json == {"data": {"me": {"subject": "ann"}}}
    assert call("POST", "/graphql", body=body, headers=sign(), **JSON).status == 401


def test_a_signature_is_looked_at_again_while_a_long_poll_waits(start):
    import acme_signed

    call = start()
    waiting = call.begin(
        "POST", "/queues/q/messages/lease", json={"wait": 20}, headers=sign(b'{"wait": 20}')
    )
    acme_signed.Signed.authenticate = refuse
    call.advance(5)

    assert waiting.done
    assert call.finish(waiting).status == 401


async def refuse(authenticator, credentials):
    from broker import Unauthenticated

    raise Unauthenticated("the signature is too old")
