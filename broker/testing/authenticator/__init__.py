"""The authenticator contract: who is let in, who is left to others, and who is refused."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from broker.auth import Authenticator
from broker.testing.authenticator.answers import Answers, Unopened
from broker.testing.authenticator.asking import Asking
from broker.testing.authenticator.bench import AuthenticatorBench, Sample
from broker.testing.authenticator.garbage import Garbage
from broker.testing.authenticator.secrecy import Secrecy
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made
from broker.testing.opening import Opening

__all__ = ["AuthenticatorBench", "AuthenticatorContract", "Sample"]


class AuthenticatorContract(Answers, Asking, Garbage, Secrecy, Unopened, Opening, Contract):
    """Subclass it in a test module, return your authenticator, and show what it takes.

        class TestAcmeAuthenticator(AuthenticatorContract):
            contract = "1.0"

            def make_authenticator(self, tmp_path, clock):
                return AcmeAuthenticator(keys={"ann": "acme-1f2e3d4c5b6a"})

            async def valid(self, authenticator):
                return Credentials(scheme="bearer", token="acme-1f2e3d4c5b6a")

            async def bad(self, authenticator):
                return {"unknown": Credentials(scheme="bearer", token="acme-000000000000")}

    A sample is `Credentials`, or a `Request` in which an authenticator that overrides `read` finds
    them. The time is that of a clock that stands still: whoever looks at another one is found out.
    """

    capabilities: ClassVar[Collection[str]] = ()
    """What is true of the valid credentials: "expires", they end at a time that the identity says;
    "once", they are good a single time. Tests of what is not declared are skipped, and say so."""

    secrets: ClassVar[Collection[str]] = ()
    """What nobody may be told beside the credentials: keys in the config, for example."""

    call_seconds: ClassVar[float] = 30
    """How long an answer may take, on a machine that has much else to do."""

    @abstractmethod
    def make_authenticator(self, tmp_path: Path, clock: ManualClock) -> Authenticator:
        """Return an authenticator, not opened. The kit opens and closes it.

        Another one that is made of the same arguments knows the same credentials.
        """

    @abstractmethod
    async def valid(self, authenticator: Authenticator) -> Sample:
        """Return what the open authenticator takes, at the time of its clock; if it is good once,
        another one each time."""

    @abstractmethod
    async def bad(self, authenticator: Authenticator) -> Mapping[str, Sample]:
        """Return what is of the authenticator's kind and must be refused, by what is wrong with it:
        expired, tampered, malformed, revoked, of a key that nobody knows."""

    async def foreign(self, authenticator: Authenticator) -> Sequence[Sample]:  # noqa: ARG002  # what others override
        """Return what looks like the authenticator's and is somebody else's: a token of another
        issuer, for example. The kit has credentials of other kinds by itself."""
        return ()

    def make_bench(self, tmp_path: Path) -> AuthenticatorBench:
        """Return a bench with an authenticator of its own and a clock that stands still."""
        clock = ManualClock()
        make = partial(made, Authenticator, self.make_authenticator, tmp_path, clock)
        return AuthenticatorBench(make, clock, self)

    def subject(self, bench: AuthenticatorBench) -> tuple[str, frozenset[str]]:
        """Return the authenticator's class name and the capabilities of its credentials; "read" is
        one that shows by itself."""
        kind = type(bench.authenticator)
        reads = kind.read is not Authenticator.read
        return kind.__name__, frozenset({*self.capabilities, *(["read"] if reads else [])})
