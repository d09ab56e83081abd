"""HTTP to a running broker, for the commands that need one.

An error answer becomes an exception whose exit code follows its status: 401 and 403 are 4,
404 is 3, 422 is 2, 429 and 5xx that may pass are 5, 507 is 74, everything else is 1.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Container, Mapping
from ipaddress import ip_address
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import click
import httpx
import msgspec

from broker.auth import schemes_of
from broker.cli.options import DEFAULT_URL
from broker.errors import BrokerError, FieldError, StorageFailed

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
IDLE_SECONDS = 2.0
MAX_LINES = 10


class Refused(BrokerError):
    """The broker answered with an error."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text())
        self.problem_code = problem.code
        self.errors = problem.errors


class RefusedField(Refused):
    """Something in the request is not allowed, just as if it were a wrong option."""

    exit_code = 2


class NotThere(Refused):
    """There is no such queue or message, or none that the client may see."""

    exit_code = 3


class NotAllowed(Refused):
    """Who asks did not say who they are, or may not do that; `remedy` is one more line."""

    exit_code = 4

    def __init__(self, problem: Problem, remedy: str = "") -> None:
        super().__init__(problem)
        if remedy:
            self.args = (f"{self}\n{remedy}",)


class NoRoom(Refused):
    """The broker's storage is full."""

    exit_code = 74


class Away(BrokerError):
    """No broker answers, or it asks to come again later; the same request may succeed then."""

    exit_code = 5

    def __init__(self, detail: str, *, retry_after: float | None = None, unsure: bool) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.unsure = unsure
        """Whether the request may have been carried out although no answer came."""


class Problem(msgspec.Struct, frozen=True):
    """The part of a problem document (RFC 9457) that a person wants to read."""

    detail: str
    code: str = ""
    errors: list[FieldError] = []

    def text(self) -> str:
        """Return a line for each field error, after the detail if that tells anything else."""
        lines = [f"{error.field}: {error.message}" for error in self.errors]
        if self.detail != "; ".join(lines):
            lines.insert(0, self.detail)
        if len(lines) > MAX_LINES:
            lines[MAX_LINES:] = [f"and {len(lines) - MAX_LINES} more"]
        return "\n".join(lines)


_BY_STATUS: dict[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotThere,
    422: RefusedField,
    507: NoRoom,
}
_TOKEN = re.compile(r"[!-~]+")
_MAY_PASS = {429, 502, 503, 504}


class Client:
    """A connection to the broker at `url`, as whom the token says; use it in a `with` block."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        parsed = _parse(url)
        if token and not _TOKEN.fullmatch(token):
            raise click.UsageError("BROKER_TOKEN: expected a token: visible ASCII, without blanks")
        # Without what an address must not show: it may hold a password.
        self.url = str(parsed.copy_with(userinfo=b"")).rstrip("/")
        self.has_password = bool(parsed.userinfo)
        is_local = _is_local(parsed.host)
        self.is_overheard = parsed.scheme == "http" and not is_local
        self._remedy = (
            "the token in BROKER_TOKEN is over, or is not for this broker"
            if token
            else f"log in with: {login_command(self.url)}; or set BROKER_TOKEN"
        )
        self._http = httpx.Client(
            base_url=parsed,
            headers={"authorization": f"Bearer {token}"} if token else {},
            # Shorter than servers keep idle connections, so that none is used while it is closed.
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            trust_env=not is_local,
            verify=httpx.create_ssl_context(),  # SSL_CERT_FILE counts for local hosts, too
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def log_in(self, session: httpx.Auth) -> None:
        """Let a session speak for each request."""
        self._http.auth = session
        self._remedy = f"log in again: {login_command(self.url)}"

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        params: dict[str, str] | None = None,
        accept: Container[int] = (),
        wait: float = 0,
    ) -> httpx.Response:
        """Ask, and return the answer; raises Refused or Away.

        What is sent is `json` or `form`.
        `accept` names error statuses that the caller wants to see; `wait` is how many seconds
        the broker was asked to wait before it answers.
        """
        body = b"" if json is None else msgspec.json.encode(json)
        kind = "application/json"
        if form is not None:
            # What was typed and is no UTF-8 goes as it was typed; the broker says that it is wrong.
            body = urlencode(form, errors="surrogateescape").encode()
            kind = "application/x-www-form-urlencoded"
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                content=body,
                headers={"content-type": kind} if body else {},
                timeout=httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(error) from error
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            detail = f"the broker at {self.url} was lost before it answered: {why}"
            raise Away(detail, unsure=True) from error
        if response.is_success or response.status_code in accept:
            return response
        raise self.error_of(response)

    def decode(self, response: httpx.Response, kind: Any = Any) -> Any:
        """Read a JSON answer as `kind`; raises Refused if it is not one."""
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            detail = f"what answers at {self.url} is not a broker: {error}"
            raise Refused(Problem(detail)) from error

    def error_of(self, response: httpx.Response) -> BrokerError:
        """Return the error that an answer is."""
        status = response.status_code
        problem = self.problem_of(response)
        if status in _MAY_PASS:
            again = response.headers.get("retry-after", "")
            retry_after = float(again) if again.isdecimal() else None
            unsure = status in {502, 504} or problem.code == StorageFailed.code
            return Away(problem.text(), retry_after=retry_after, unsure=unsure)
        if status == httpx.codes.UNAUTHORIZED:
            return NotAllowed(problem, self._remedy_for(response))
        return _BY_STATUS.get(status, Refused)(problem)

    def _remedy_for(self, response: httpx.Response) -> str:
        wanted = ", ".join(response.headers.get_list("www-authenticate"))
        schemes = schemes_of(wanted)
        if not schemes or "bearer" in schemes:
            return self._remedy
        if "basic" not in schemes:
            return f"this broker asks for {wanted}; the broker command sends Bearer or Basic only"
        if self.has_password:
            return "the name or the password in the address is not right"
        return "this broker asks for Basic: set BROKER_URL to an address with NAME:PASSWORD@ in it"

    def problem_of(self, response: httpx.Response) -> Problem:
        """Return what an error answer says."""
        try:
            return msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError:
            status = f"{response.status_code} {response.reason_phrase}"
            return Problem(f"{self.url} answered {status} without saying why; is it a broker?")

    def _unreachable(self, error: httpx.TransportError) -> Away:
        refused = "refused" in str(error).lower()
        why = "" if refused else f" ({str(error) or 'it does not answer'})"
        remedy = 'start one with "broker serve"'
        if "CERTIFICATE_VERIFY_FAILED" in why:
            remedy = "if its certificate is your own, name it or its authority in SSL_CERT_FILE"
        return Away(f"cannot reach a broker at {self.url}{why}; {remedy}", unsure=False)


def login_command(url: str) -> str:
    """Write what a person types to log in at a broker."""
    is_known = url == os.environ.get("BROKER_URL", DEFAULT_URL).rstrip("/")
    return "broker login" if is_known else f"broker login --url {shlex.quote(url)}"


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise click.UsageError(f"--url or BROKER_URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        # What was received is not repeated: it may hold a password.
        raise click.UsageError(f"--url or BROKER_URL: expected something like {DEFAULT_URL}")
    return parsed


def _is_local(host: str) -> bool:
    """Tell whether a proxy named in the environment has no business in between."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
