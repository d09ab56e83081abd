"""No password, token, key or hash is in what a broker writes, however much it is told to log."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import jwt
import pytest
from foreign_issuer import Signer
from served import HTTP_SERVERS, Served

RIGHT = "right-horse-battery"
WRONG = "wrong-horse-battery"
SECRET_HEADER = "crash-horse-battery"

CRASHING = """
    from broker import Authenticator, hookimpl

    class Crashing(Authenticator):
        async def authenticate(self, credentials):
            if credentials.scheme == "crash":
                raise RuntimeError(f"cannot look up {credentials}")
            return None

    @hookimpl
    def provide_authenticator(plugin):
        return Crashing()
"""

# Nobody listens at that port, so the keys of this issuer cannot be had.
ISSUER = """
[[plugins.auth_jwt.issuers]]
name = "far"
issuer = "https://far.test"
jwks_url = "http://127.0.0.1:9/jwks"
audience = "broker"
grants = { all = ["admin"] }
"""


class Story:
    """A broker whose clients do all that involves a secret; it remembers them."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.secrets: list[str] = []
        self.answers: list[str] = []
        # Passwords are checked behind all other work, also that of other tests.
        self._client = httpx.Client(base_url=served.url, timeout=100)

    def end(self) -> None:
        self._client.close()
        self.served.end()

    def ask(self, method: str, path: str, status: int, authorization: str = "", **request):
        headers = {"authorization": authorization} if authorization else {}
        answer = self._client.request(method, path, headers=headers, **request)
        assert answer.status_code == status, answer.text
        return answer

    def log_in(self, user: str, password: str, status: int = 200) -> dict[str, str]:
        form = {"username": user, "password": password}
        answer = self.ask("POST", "/login", status, data=form)
        self.secrets.append(password)
        return self._given(answer) if status == 200 else self._refused(answer)

    def refresh(self, token: str, status: int = 200) -> dict[str, str]:
        answer = self.ask("POST", "/refresh", status, f"Bearer {token}")
        return self._given(answer) if status == 200 else self._refused(answer)

    def refused(self, token: str, status: int = 401, *, scheme: str = "Bearer") -> None:
        self.secrets.append(token)
        self._refused(self.ask("GET", "/queues", status, f"{scheme} {token}"))

    def ticket(self, authorization: str) -> str:
        ticket = self.ask("POST", "/events/ticket", 201, authorization).json()["ticket"]
        self.secrets.append(ticket)
        return ticket

    def stream(self, path: str, **headers: str) -> None:
        with self._client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            self.answers.append(next(answer.iter_text()))

    def in_url(self, name: str, secret: str, status: int) -> None:
        for path in ("/events", "/stream/q"):
            self._refused(self.ask("GET", f"{path}?{name}={secret}", status))

    def command(self, *args: str, input: bytes = b"") -> str:
        process = self.served.begin(*args, "--config", str(self.served.config))
        out, errors = process.communicate(input)
        assert process.returncode == 0, errors
        self.answers.append(errors.decode())
        return out.decode().strip()

    def _given(self, answer: httpx.Response) -> dict[str, str]:
        pair = answer.json()
        self.secrets += [pair["access_token"], pair["refresh_token"]]
        return pair

    def _refused(self, answer: httpx.Response) -> dict[str, str]:
        self.answers.append(answer.text + str(answer.headers))
        return {}


@pytest.fixture(params=HTTP_SERVERS)
def story(request, tmp_path, site, install, monkeypatch):
    install("crashing", CRASHING)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    story = Story(
        Served(
            tmp_path,
            plugins=["crashing", "auth_jwt", "sse"],
            tables=ISSUER,
            anonymous="false",
            http_server=request.param,
            log_level="debug",
            log={"requests": True},
        )
    )
    yield story
    story.end()


def play(story: Story) -> None:
    """Do all that involves a secret, rightly and wrongly."""
    told = " ".join(story.served.screen["notices"])
    first = re.search(r"with the password (\S+)", told)[1]
    story.log_in("admin", first)
    story.log_in("admin", WRONG, 401)
    story.log_in("nobody", WRONG, 401)
    story.log_in("admin", "too-long-" * 200, 422)
    story.ask("POST", "/login", 415, json={"username": "admin", "password": RIGHT})

    story.command("user", "add", "ann", "--grant", "admin", input=f"{RIGHT}\n".encode())
    pair = story.log_in("ann", RIGHT)
    again = story.refresh(pair["refresh_token"])
    access = f"Bearer {again['access_token']}"
    story.ask("POST", "/queues", 201, access, json={"name": "q"})
    story.ask("POST", "/queues/q/purge", 200, access, json={})
    story.refused(pair["refresh_token"])
    story.refresh(again["access_token"], 401)
    story.refresh(pair["refresh_token"], 401)
    story.refused(again["access_token"])

    last = story.log_in("ann", RIGHT)
    access = f"Bearer {last['access_token']}"
    story.in_url("token", last["access_token"], 400)
    used, unused = [story.ticket(access) for _ in range(2)]
    story.stream(f"/events?ticket={used}")
    story.in_url("ticket", used, 401)
    session = story.ask("POST", "/events/session", 204, access).headers["set-cookie"]
    story.stream("/stream/q", cookie=session.partition(";")[0])
    story.ask("POST", "/logout", 204, access)
    story.in_url("ticket", unused, 401)
    story.refused(last["access_token"])

    service = story.command("token", "create", "shop", "--grant", "publish:q")
    story.secrets.append(service)
    story.ask("POST", "/queues/q/messages", 201, f"Bearer {service}", json={"content": "x"})
    story.refused(service[:-1] + ("A" if service[-1] != "A" else "B"))

    far = {
        "iss": "https://far.test",
        "aud": "broker",
        "sub": "eve",
        "jti": "j",
        "iat": 1,
        "exp": 2**40,
    }
    story.refused(Signer("k", "ES256").sign(far), 503)
    story.refused(jwt.encode({**far, "iss": "nobody"}, "s" * 32, headers={"kid": "k"}))
    story.refused(SECRET_HEADER, 503, scheme="Crash")


def kept(directory: Path) -> list[str]:
    """What is kept of secrets: signing keys, hashes of passwords, digests of tokens."""
    keys = json.loads((directory / "auth-keys.json").read_text())["keys"]
    with closing(sqlite3.connect(directory / "auth.db")) as database:
        hashes = database.execute("SELECT password_hash FROM broker_users").fetchall()
        digests = database.execute("SELECT digest FROM broker_service_tokens").fetchall()
    assert len(keys) == len(digests) == 1
    assert len(hashes) == 2
    return [key["k"] for key in keys] + [text for (text,) in [*hashes, *digests]]


def test_nothing_secret_is_logged_shown_or_audited(story):
    screens = [json.dumps(story.served.screen)]
    play(story)
    story.served.end()
    story.served.start()
    screens.append(json.dumps(story.served.screen))
    story.served.end()

    directory = story.served.directory
    log, audit = story.served.log(), (directory / "audit.jsonl").read_text()
    first, *_ = story.secrets
    assert [screen.count(first) for screen in screens] == [1, 0]
    screens[0] = screens[0].replace(first, "")
    # Of a JWT the signature is the secret; of a service token what follows the dot.
    secrets = {part for secret in story.secrets for part in (secret, secret.rpartition(".")[2])}
    secrets |= set(kept(directory))
    files = [file.read_text() for file in directory.glob("broker_log_*.json")]
    assert "".join(files) == log
    told = {"log": [log], "audit": [audit], "screen": screens, "answers": story.answers}
    found = [(place, s) for place, texts in told.items() for s in secrets if s in "\n".join(texts)]
    assert found == []
    # What it was looked for in does tell of all this.
    assert '"level":"debug"' in log
    assert '"logger":"broker.access"' in log
    assert "cannot look up Credentials(scheme='crash', token=********" in log
    assert {json.loads(line)["action"] for line in audit.splitlines()} == {
        "user.added",
        "login.ok",
        "login.failed",
        "refresh.reused",
        "logout",
        "token.created",
        "queue.purged",
    }
