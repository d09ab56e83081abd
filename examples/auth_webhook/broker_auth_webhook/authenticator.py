"""The authenticator: whose webhook a request is, by the signature of its body."""

import re
from collections.abc import Callable
from hashlib import sha256

from broker import Authenticator, Credentials, Identity, Request, Unauthenticated, Unavailable

from broker_auth_webhook.config import WebhookConfig

SCHEMES = {
    "github": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature-256"},
    "standard-webhook": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
}
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
MOST_REMEMBERED = 100_000
_HEAD = re.compile(rb"[^.]+\.([0-9]{1,12})\.")


class WebhookAuthenticator(Authenticator):
    """Takes what a sender of the config signed; a Standard Webhook is good once."""

    challenge = ""
    security = SCHEMES

    def __init__(self, config: WebhookConfig, now: Callable[[], int]) -> None:
        self._senders = config.senders
        self._tolerance_ms = config.tolerance_seconds * 1000
        self._now = now
        self._seen: dict[bytes, int] = {}
        """What came, and when that may be forgotten; the oldest first."""

    def read(self, request: Request) -> Credentials | None:
        """Return the signature that a request carries, with what it signs."""
        headers, signed = request.headers, request.body
        if (token := headers.get("x-hub-signature-256")) is not None:
            scheme = "webhook:github"
        elif any(name in headers for name in STANDARD):
            # Without dots of their own, or somebody could move them between the id and the body.
            number, at, token = (headers.get(name, "").replace(".", " ") for name in STANDARD)
            scheme, signed = "webhook:standard", f"{number}.{at}.".encode("latin-1") + signed
        else:
            return None
        return Credentials(scheme=scheme, token=token, payload=signed, peer=request.peer)

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return who signed the payload; raises Unauthenticated."""
        if credentials.scheme not in ("webhook:github", "webhook:standard"):
            return None
        signed, given = credentials.payload, [one.encode() for one in credentials.token.split(" ")]
        for name, sender in self._senders.items():
            if credentials.scheme == f"webhook:{sender.scheme}" and sender.is_signed(signed, given):
                return Identity(
                    subject=f"webhook:{name}",
                    scopes=sender.scopes,
                    peer=credentials.peer,
                    expires_at=None if sender.scheme == "github" else self._use_up(signed, name),
                )
        raise Unauthenticated("the signature is that of no sender")

    def _use_up(self, signed: bytes, name: str) -> int:
        """Return when a webhook is over, and see to it that nobody sends it again until then."""
        now, digest = self._now(), sha256(f"{name}:".encode() + signed).digest()
        sent_at = int(head[1]) * 1000 if (head := _HEAD.match(signed)) else 0
        if abs(now - sent_at) > self._tolerance_ms:
            raise Unauthenticated("the webhook is of another time than now")
        while self._seen and self._seen[oldest := next(iter(self._seen))] < now:
            del self._seen[oldest]
        if digest in self._seen:
            raise Unauthenticated("the webhook came already")
        if len(self._seen) >= MOST_REMEMBERED:
            raise Unavailable("too many webhooks come at once; send it again later")
        self._seen[digest] = now + 2 * self._tolerance_ms
        return sent_at + self._tolerance_ms
