"""What goes wrong in authenticators, of tokens and of signed requests."""

import asyncio
import hmac
import logging
import time

from contracts.authenticators import KEY, Signed, Tokens, mac
from msgspec.structs import replace

from broker import Closed, Credentials, Unauthenticated, Unavailable


class TakesBadTokensForNobodys(Tokens):
    def look_at(self, credentials):
        try:
            return super().look_at(credentials)
        except Unauthenticated:
            return None


class RefusesWhatIsSomebodyElses(Tokens):
    def look_at(self, credentials):
        identity = super().look_at(credentials)
        if identity is None:
            raise Unauthenticated("the token is not valid")
        return identity


class TakesEveryScheme(Tokens):
    async def authenticate(self, credentials):
        return await super().authenticate(replace(credentials, scheme="bearer"))


class AsksForAnotherScheme(Tokens):
    challenge = 'Basic realm="Bearer"'


class AsksForWhatNoHeaderCanTell(Tokens):
    challenge = "Bearer\n"


class DescribesAnotherScheme(Tokens):
    security = {"password": {"type": "http", "scheme": "basic"}}


class DescribesACookieOnly(Tokens):
    security = {"session": {"type": "apiKey", "in": "cookie", "name": "session"}}


class DescribesMoreThanItAsksFor(Tokens):
    security = {
        name: {"type": "http", "scheme": scheme}
        for name, scheme in (("token", "Bearer"), ("password", "Basic"))
    }


class DescribesInAFormOfItsOwn(Tokens):
    security = {"bearer": "http"}


class BreaksOnTokensBeyondASCII(Tokens):
    def is_same(self, given, expected):
        return hmac.compare_digest(given, expected)


class ComparesTheBeginning(Tokens):
    def is_same(self, given, expected):
        return given.startswith(expected[:16])


class ComparesAsManyAsAreGiven(Tokens):
    def is_same(self, given, expected):
        return all(one == other for one, other in zip(given, expected, strict=False))


class IgnoresTheEnd(Tokens):
    def now(self):
        return 0


class LooksAtTheClockOfTheSystem(Tokens):
    def now(self):
        return time.time_ns() // 1_000_000


class SaysNoEnd(Tokens):
    def identity(self, name, expires_at, credentials):
        return replace(super().identity(name, expires_at, credentials), expires_at=None)


class RemembersTokensBeyondTheirEnd(Tokens):
    def __init__(self, clock):
        super().__init__(clock)
        self.known = {}

    def look_at(self, credentials):
        if credentials.token not in self.known:
            self.known[credentials.token] = super().look_at(credentials)
        identity = self.known[credentials.token]
        return identity and replace(identity, peer=credentials.peer)


class RemembersTheAddress(Tokens):
    def __init__(self, clock):
        super().__init__(clock)
        self.known = {}

    def identity(self, name, expires_at, credentials):
        new = super().identity(name, expires_at, credentials)
        return self.known.setdefault((name, expires_at), new)


class RemembersThatATokenWasRefused(Tokens):
    """And takes what it remembers for an answer: None."""

    def __init__(self, clock):
        super().__init__(clock)
        self.seen = {}

    def look_at(self, credentials):
        if credentials.token in self.seen:
            return self.seen[credentials.token]
        self.seen[credentials.token] = None
        self.seen[credentials.token] = super().look_at(credentials)
        return self.seen[credentials.token]


class MixesWhoAsks(Tokens):
    async def authenticate(self, credentials):
        self.credentials = credentials
        await asyncio.sleep(0)
        return await super().authenticate(self.credentials)


class KeepsItsLockWhenNobodyWaits(Tokens):
    def __init__(self, clock):
        super().__init__(clock)
        self.lock = asyncio.Lock()

    async def authenticate(self, credentials):
        await self.lock.acquire()
        await asyncio.sleep(0)
        identity = None
        try:
            identity = self.look_at(credentials) if credentials.scheme == "bearer" else None
        finally:
            self.lock.release()
        return identity


class LogsTokens(Tokens):
    def look_at(self, credentials):
        logging.getLogger("broker.plugins.tokens").debug("asked with %s", credentials.token)
        return super().look_at(credentials)


class LogsWhatWasWrongWithTokens(Tokens):
    def look_at(self, credentials):
        try:
            return super().look_at(credentials)
        except Unauthenticated:
            logger = logging.getLogger("broker.plugins.tokens")
            logger.debug("refused", exc_info=ValueError(credentials.token))
            raise


class TellsTheTokenToWhoIsRefused(Tokens):
    def look_at(self, credentials):
        try:
            return super().look_at(credentials)
        except Unauthenticated as error:
            raise Unauthenticated(f"not valid: {credentials.token}") from error


class TellsTheTokenInACause(Tokens):
    def look_at(self, credentials):
        try:
            return super().look_at(credentials)
        except Unauthenticated:
            raise Unauthenticated("not valid") from KeyError(credentials.token)


class ShowsItsKey(Tokens):
    def __repr__(self):
        return f"ShowsItsKey(key={KEY})"


class CallsWhoeverCameByTheToken(Tokens):
    def identity(self, name, expires_at, credentials):
        identity = super().identity(name, expires_at, credentials)
        return replace(identity, subject=credentials.token)


class CallsNobodyByAName(Tokens):
    def identity(self, name, expires_at, credentials):
        return replace(super().identity(name, expires_at, credentials), subject="")


class CallsEverybodyAnonymous(Tokens):
    def identity(self, name, expires_at, credentials):
        return replace(super().identity(name, expires_at, credentials), is_anonymous=True)


class GivesScopesOfItsOwn(Tokens):
    def identity(self, name, expires_at, credentials):
        identity = super().identity(name, expires_at, credentials)
        return replace(identity, scopes=frozenset({"orders:write"}))


class GivesOneScopeAsText(Tokens):
    def identity(self, name, expires_at, credentials):
        return replace(super().identity(name, expires_at, credentials), scopes="admin")


class AnswersYes(Tokens):
    def look_at(self, credentials):
        return super().look_at(credentials) and True


class BreaksWhileItIsClosed(Tokens):
    keys = None

    async def open(self):
        self.keys = [KEY]

    async def close(self):
        self.keys = None

    def is_signed(self, name, expires_at, signature):
        return len(self.keys) > 0 and super().is_signed(name, expires_at, signature)


class KnowsNoTokenWhileItIsClosed(Tokens):
    is_open = False

    async def open(self):
        self.is_open = True

    async def close(self):
        self.is_open = False

    def look_at(self, credentials):
        return super().look_at(credentials) if self.is_open else None


class ClosesOnce(Tokens):
    is_open = False

    async def open(self):
        self.is_open = True

    async def close(self):
        if not self.is_open:
            raise Closed("it is closed already")
        self.is_open = False


class BreaksAtAPing(Tokens):
    async def ping(self):
        raise Unavailable("the keys cannot be had")


class DescribesAnotherHeader(Signed):
    security = {"signature": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature"}}


class DescribesNoSignature(Signed):
    security = {}


class AsksForATokenAndTakesASignature(Signed):
    challenge = "Bearer"


class FindsNoSignatureThatIsMalformed(Signed):
    def read(self, request):
        found = super().read(request)
        return found if found is not None and len(found.token) == 64 else None


class FindsASignatureEverywhere(Signed):
    def read(self, request):
        return super().read(request) or Credentials(scheme=self.scheme, peer=request.peer)


class TakesASignatureInTheHeaderOfTokens(Signed):
    scheme = "planted-signature"


class BreaksWhereNoSignatureIs(Signed):
    def read(self, request):
        return Credentials(
            scheme=self.scheme, token=request.headers[self.header], payload=request.body
        )


class ReadsLater(Signed):
    async def read(self, request):
        return super().read(request)


class SignsNoMoreThanTheBeginning(Signed):
    def is_signed(self, credentials):
        return any(
            hmac.compare_digest(credentials.token.encode(), mac(credentials.payload[:n]).encode())
            for n in range(len(credentials.payload) + 1)
        )


class TakesASignatureTwice(Signed):
    async def use_up(self, token):
        pass


class TakesASignatureTwiceAtOneTime(Signed):
    async def use_up(self, token):
        if token in self.seen:
            raise Unauthenticated("the signature was used")
        await asyncio.sleep(0)
        self.seen.add(token)
