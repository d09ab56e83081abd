"""An issuer of tokens on 127.0.0.1, for tests: it publishes keys, counts who asks, misbehaves."""

import asyncio
import json
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@cache
def private_key(algorithm, name):
    """Make a key, once for each name: those of RSA take long."""
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class Signer:
    """A key of an issuer: its private part signs, its public part is published."""

    def __init__(self, kid, algorithm="RS256", *, material="shared"):
        self.kid = kid
        self.algorithm = algorithm
        self.private = private_key(algorithm, material)

    def jwk(self, **members):
        """What is published of it; members that are None are left out."""
        kind = {"E": ECAlgorithm, "R": RSAAlgorithm, "P": RSAAlgorithm}[self.algorithm[0]]
        kind = OKPAlgorithm if self.algorithm == "EdDSA" else kind
        public = kind.to_jwk(self.private.public_key(), as_dict=True)
        public.pop("key_ops", None)
        whole = {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm, **members}
        return {name: value for name, value in whole.items() if value is not None}

    def sign(self, claims, *, algorithm=None, **header):
        """Return a token; `typ=None` leaves the type out."""
        return jwt.encode(
            claims,
            self.private,
            algorithm=algorithm or self.algorithm,
            headers={"kid": self.kid, **header},
        )


class ForeignIssuer:
    """Serves a JWK Set over HTTP while it is entered."""

    def __init__(self, *keys, tls=None):
        self.keys = list(keys)
        self.status = 200
        self.body = None
        self.headers = {"Content-Type": "application/json", "Connection": "close"}
        self.is_slow = False
        self.requests = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.url = ""
        self._tls = tls
        self._asked = asyncio.Condition()
        self.handlers = set()

    @property
    def fetches(self):
        return len(self.requests)

    async def asked(self, times):
        """Return once it was asked so many times."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.fetches >= times)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}/jwks"
        return self

    async def __aexit__(self, *exc_info):
        self._server.close()
        self.answering.set()
        await asyncio.gather(*self.handlers)

    async def _serve(self, reader, writer):
        self.handlers.add(asyncio.current_task())
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            async with self._asked:
                self.requests.append(request.decode())
                self._asked.notify_all()
            await self.answering.wait()
            answer = self._answer()
            writer.write(answer[:-1] if self.is_slow else answer)
            await writer.drain()
            if self.is_slow:
                await reader.read()  # until the other side has enough
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self):
        body = self.body
        if body is None:
            body = json.dumps({"keys": self.keys}).encode()
        headers = {**self.headers, "Content-Length": str(len(body))}
        lines = [f"HTTP/1.1 {self.status} Whatever", *map(": ".join, headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body
