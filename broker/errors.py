"""Every error that the broker raises on purpose.

One tree. Each leaf has a stable `code`, the HTTP `status` that all transports answer with,
and the `exit_code` that the command line ends with.

    BrokerError
    ├── Malformed 400            ├── QueueNotFound 404      ├── MessageTooLarge 413
    ├── Unauthenticated 401      ├── MessageNotFound 404    ├── UnsupportedMediaType 415
    │   └── InvalidToken         ├── QueueExists 409        ├── Invalid 422
    ├── Forbidden 403            ├── LeaseLost 409          │   ├── Unsupported
    ├── VersionMismatch 412      ├── WrongState 409         │   └── Rejected
    ├── RateLimited 429          ├── NothingSettled 409     ├── Unavailable 503
    ├── QueueFull 429            ├── StorageFull 507        │   ├── Closed
    ├── TooManyQueues 429        └── BodyTooSlow 408        │   ├── Overloaded
    ├── TooManyWaiting 429                                  │   └── StorageFailed
    ├── TooManyStreams 429       ├── NotAcceptable 406
    ├── CrossSite 403            ├── LogNotFound 404
    └── StartupError
        ├── ConfigError 78  ├── StorageUnreadable 74  ├── CannotListen 74
        ├── PluginError 78  └── StorageLocked 75
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that was refused."""

    field: str
    """Where it stands, `messages[3].priority` for example."""
    message: str
    """What is wrong with it."""
    received: Any = None
    """The value, if it may be told."""


class BrokerError(Exception):
    """Something that the broker refuses or cannot do; `str(error)` is the detail for the client."""

    code: ClassVar[str] = "internal"
    """The name by which programs know it; it never changes."""
    title: ClassVar[str] = "Internal error"
    """What it is in general, for people."""
    status: ClassVar[int] = 500
    """The HTTP status that every transport answers with."""
    exit_code: ClassVar[int] = 1
    """What the command line ends with."""

    retry_after: float | None = None
    """Seconds after which the same request may succeed, if that is known."""

    errors: Sequence[FieldError] = ()
    """The refused fields, for errors that are about fields."""

    checks: Mapping[str, str] = MappingProxyType({})
    """How each plugin is, for errors about the broker's health whose client may know."""


class Malformed(BrokerError):
    """The request could not be read at all: broken JSON, for example."""

    code, title, status = "malformed", "Malformed request", 400


class Unauthenticated(BrokerError):
    """No credentials came, or bad ones.

    An Authenticator raises it for "mine, and bad".
    """

    code, title, status, exit_code = "unauthenticated", "Authentication required", 401, 4

    def __init__(
        self, detail: str = "credentials are missing", *, challenge: str | None = None
    ) -> None:
        super().__init__(detail)
        self.challenge = challenge
        """What `WWW-Authenticate` says; None: what the enabled authenticators ask for."""


class InvalidToken(Unauthenticated):
    """A bearer token that nobody accepts. Why is not told: the answer is the same for all."""

    code, title = "invalid-token", "Invalid token"

    def __init__(self) -> None:
        super().__init__("the token is not valid", challenge='Bearer error="invalid_token"')


class Forbidden(BrokerError):
    """The identity may see the resource but lacks `scope` for what it asked."""

    code, title, status, exit_code = "forbidden", "Missing permission", 403, 4

    def __init__(self, scope: str, *, challenge: str | None = None) -> None:
        super().__init__(f'this needs the scope "{scope}"')
        self.scope = scope
        """What is missing, `publish:orders` for example."""
        self.challenge = challenge
        """What `WWW-Authenticate` says, if anything: of bearer tokens, where those are taken."""


class CrossSite(BrokerError):
    """A page of another origin asks in the name of whoever looks at it."""

    code, title, status, exit_code = "cross-site", "Cross-site request", 403, 4


class QueueNotFound(BrokerError):
    """No such queue, or none that the identity may see."""

    code, title, status, exit_code = "queue-not-found", "Queue not found", 404, 3

    def __init__(self, name: str) -> None:
        super().__init__(f'there is no queue "{name}"')
        self.name = name
        """The queue."""


class MessageNotFound(BrokerError):
    """No such message, or none that the identity may see."""

    code, title, status, exit_code = "message-not-found", "Message not found", 404, 3

    def __init__(self, message_id: int) -> None:
        super().__init__(f"there is no message {message_id}")
        self.message_id = message_id
        """The message."""


class LogNotFound(BrokerError):
    """No file of the log has that name."""

    code, title, status, exit_code = "log-not-found", "Log not found", 404, 3

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no log {name[:100]}")
        self.name = name
        """The name."""


class QueueExists(BrokerError):
    """A queue of that name is there already."""

    code, title, status = "queue-exists", "Queue exists", 409

    def __init__(self, name: str) -> None:
        super().__init__(f'there is a queue "{name}" already')
        self.name = name
        """The queue."""


class VersionMismatch(BrokerError):
    """The queue changed since the caller read it."""

    code, title, status = "version-mismatch", "Precondition failed", 412

    def __init__(self, name: str, *, expected: int, found: int | None) -> None:
        now = "there is none" if found is None else f"it is at version {found}"
        super().__init__(f'queue "{name}" was expected at version {expected}, {now}')


class LeaseLost(BrokerError):
    """The receipt is stale: the lease ended, and perhaps somebody else holds the message now."""

    code, title, status = "lease-lost", "Lease lost", 409


class WrongState(BrokerError):
    """The message is not in a state in which that can be done to it."""

    code, title, status = "wrong-state", "Wrong state", 409


class NothingSettled(BrokerError):
    """A settlement that also publishes had operations that failed, so nothing was done."""

    code, title, status = "nothing-settled", "Nothing was settled", 409

    def __init__(self, failed: Sequence[FieldError], *, of: int) -> None:
        super().__init__(f"{len(failed)} of {of} leases could not be settled")
        self.errors = tuple(failed)


class BodyTooSlow(BrokerError):
    """The body of a request does not come, or comes too slowly to be waited for."""

    code, title, status = "request-timeout", "Request timeout", 408


class MessageTooLarge(BrokerError):
    """A body exceeds what the server or the queue takes."""

    code, title, status = "too-large", "Too large", 413


class NotAcceptable(BrokerError):
    """The client takes none of the forms in which this can be answered."""

    code, title, status = "not-acceptable", "Not acceptable", 406


class UnsupportedMediaType(BrokerError):
    """The route takes JSON only."""

    code, title, status = "unsupported-media-type", "Unsupported media type", 415


class Invalid(BrokerError):
    """One or more fields were refused; `errors` names each."""

    code, title, status, exit_code = "invalid", "Invalid request", 422, 2

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = tuple(errors)

    @staticmethod
    def gather(*readings: Callable[[], Any]) -> list[Any]:
        """Return what each reading returns; raise one Invalid for all fields that they refuse."""
        values: list[Any] = []
        errors: list[FieldError] = []
        for read in readings:
            try:
                values.append(read())
            except Invalid as error:
                errors += error.errors
        if errors:
            raise Invalid(errors)
        return values


class Unsupported(Invalid):
    """The storage in use does not declare the capability that a policy or a message needs."""

    code, title = "unsupported", "Not supported by the storage"

    def __init__(self, storage: str, capability: str, field: str) -> None:
        message = f'storage "{storage}" does not declare the capability "{capability}"'
        super().__init__([FieldError(field, message)])


class Rejected(Invalid):
    """An interceptor refuses a publish; nothing is stored."""

    code, title = "rejected", "Rejected"

    def __init__(self, reason: str | Sequence[FieldError], *, field: str = "content") -> None:
        """`reason`: why the field is refused; or all fields that are, each with why."""
        super().__init__([FieldError(field, reason)] if isinstance(reason, str) else reason)


class RateLimited(BrokerError):
    """The identity spent its allowance."""

    code, title, status, exit_code = "rate-limited", "Too many requests", 429, 5

    def __init__(self, retry_after: float | None, *, limit: str | None = None) -> None:
        """`retry_after` None: it costs more than the limit ever allows at once."""
        named = "the rate limit" if limit is None else f'the rate limit "{limit}"'
        super().__init__(
            f"this is more than {named} ever allows at once; ask for less"
            if retry_after is None
            else f"{named} is spent; try again in {math.ceil(retry_after)} s"
        )
        self.retry_after = retry_after


class QueueFull(BrokerError):
    """The queue holds what its policy allows, and `overflow` is `reject`."""

    code, title, status, exit_code = "queue-full", "Queue full", 429, 5
    retry_after = 1.0

    def __init__(self, name: str, limit: str) -> None:
        super().__init__(f'queue "{name}" is full: {limit}')


class TooManyQueues(BrokerError):
    """The broker has as many queues as it may."""

    code, title, status, exit_code = "too-many-queues", "Too many queues", 429, 5

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are all the {limit} queues that broker.max_queues allows; "
            "delete one, or have the limit raised"
        )


class TooManyWaiting(BrokerError):
    """The identity waits in as many requests as it may at one time; `key` is the config's."""

    code, title, status, exit_code = "too-many-waiting", "Too many waiting", 429, 5
    retry_after = 1.0

    def __init__(self, limit: int, key: str) -> None:
        super().__init__(
            f"{limit} of your requests wait already, which is what {key} allows; "
            "try again when some of them have ended"
        )


class TooManyStreams(BrokerError):
    """As many streams are open as may be at one time: of this identity, or in all."""

    code, title, status, exit_code = "too-many-streams", "Too many streams", 429, 5
    retry_after = 5.0


class PluginFailure(BrokerError):
    """A plugin broke while it served a request; the log names it, the client does not hear it."""

    code, title = "internal", "Internal error"

    def __init__(self, plugin: str, step: str) -> None:
        super().__init__("a plugin failed; the log tells more")
        self.problem = f'plugin "{plugin}" failed to {step}'


class Unavailable(BrokerError):
    """A part that the request needs is not working now."""

    code, title, status, exit_code = "unavailable", "Unavailable", 503, 5
    retry_after = 1.0


class Closed(Unavailable):
    """The provider was closed, or not opened yet."""

    code = "closed"


class Overloaded(Unavailable):
    """The broker does as much at once as it may; this request was not begun."""

    code, title = "overloaded", "Overloaded"


class StorageFailed(Unavailable):
    """The storage gives up: nothing that it does now can be trusted before it is opened anew.

    `problem` is one line for the operator: what failed, what the system said, what to do.
    Clients do not hear it.
    """

    code, title, exit_code = "storage-failed", "Storage failed", 74

    def __init__(self, problem: str) -> None:
        super().__init__("the storage failed; the broker stops")
        self.problem = problem
        """The line for the operator."""


class StorageFull(BrokerError):
    """The disk or the store has no room; nothing was stored."""

    code, title, status, exit_code = "storage-full", "Insufficient storage", 507, 74


class StartupError(BrokerError):
    """The broker cannot start; `str(error)` is one line per problem, with the remedy."""

    code, title = "startup", "Cannot start"


class ConfigError(StartupError):
    """The configuration is wrong; every problem is in the message, one a line."""

    code, title, exit_code = "config", "Configuration", 78


class PluginError(StartupError):
    """A plugin is missing, broken or in conflict; the message names it and the remedy."""

    code, title, exit_code = "plugin", "Plugin", 78

    def __init__(self, plugin: str, problem: str) -> None:
        super().__init__(f'plugin "{plugin}": {problem}')
        self.plugin = plugin
        """Its name."""


class StorageUnreadable(StartupError):
    """The store exists but cannot be read, or is damaged; it is never taken for an empty one."""

    code, title, exit_code = "storage-unreadable", "Storage unreadable", 74


class StorageLocked(StartupError):
    """Another process owns the store."""

    code, title, exit_code = "storage-locked", "Storage locked", 75


class CannotListen(StartupError):
    """The address is taken, or not one of this machine."""

    code, title, exit_code = "cannot-listen", "Cannot listen", 74

    def __init__(self, host: str, port: int, why: str, *, by: str = "--host and --port") -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {why}; "
            f"stop what listens there, or choose another address with {by}"
        )
