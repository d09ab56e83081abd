"""Garbage: whatever somebody sends as credentials, it makes nobody of him, and breaks nothing."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.auth import Credentials, Identity, read_credentials
from broker.errors import Unauthenticated, Unavailable
from broker.http import Request
from broker.testing.authenticator.bench import AuthenticatorBench, is_refused
from broker.testing.contract import needs
from broker.testing.drawing import for_all

MOST = 16 * 1024
"""How long all headers of a request may be."""

INSIDE = re.compile(r"[\w-](?=[\w-])", re.ASCII)
"""A character that can be changed. Not the last of a row: of that, Base64 may ignore some bits."""

HEADERS = ("", " ", ",", "x", "x y", "x=y", "\xff", "\x00", "0" * MOST)
"""What may stand in a header."""

CHANGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda signed: b"",  # noqa: ARG005  # as all of these
    lambda signed: signed[1:],
    lambda signed: signed[:-1],
    lambda signed: b"\xff" + signed,
    lambda signed: signed + b" ",
    lambda signed: signed * 2,
    lambda signed: bytes([signed[0] ^ 1]) + signed[1:],
    lambda signed: signed[:-1] + bytes([signed[-1] ^ 128]),
)
"""What may become of something that is signed."""


class Garbage:
    """The rows about credentials that nobody gave out."""

    async def test_garbage_makes_nobody_of_anybody(self, bench: AuthenticatorBench) -> None:
        valid = await bench.valid()

        async def check(token: str) -> None:
            answer = await bench.ask(replace(valid, token=token))
            assert not isinstance(answer, Identity)

        await for_all(text(), check)

    async def test_garbage_within_a_token_breaks_nothing(self, bench: AuthenticatorBench) -> None:
        valid = await bench.valid()

        async def check(token: str) -> None:
            await bench.ask(replace(valid, token=token))  # which knows four answers

        await for_all(spliced(valid.token), check)

    async def test_a_changed_character_makes_nobody_of_anybody(
        self, bench: AuthenticatorBench
    ) -> None:
        valid = await bench.valid()

        async def check(token: str) -> None:
            answer = await bench.ask(replace(valid, token=token))
            assert not isinstance(answer, Identity)

        await for_all(changed(valid.token), check)

    async def test_a_piece_of_a_token_is_not_enough(self, bench: AuthenticatorBench) -> None:
        token = (await bench.valid()).token
        half = len(token) // 2
        pieces = {
            "no token": "",
            "the first half of the token": token[:half],
            "the second half of the token": token[half:],
            "the token without its last 4 characters": token[:-4],
            "the token without its first 4 characters": token[4:],
            "the token with AAAA behind it": token + "AAAA",
        }
        for what, piece in pieces.items():
            answer = await bench.ask(replace(await bench.valid(), token=piece))
            assert not isinstance(answer, Identity), f"{what} was taken"

    async def test_what_was_signed_cannot_be_changed(self, bench: AuthenticatorBench) -> None:
        if not (await bench.valid()).payload:
            pytest.skip("the valid credentials sign nothing")
        for change in CHANGES:
            credentials = await bench.valid()
            payload = change(credentials.payload)
            assert is_refused(await bench.ask(replace(credentials, payload=payload))), payload

    async def test_what_is_signed_cannot_be_left_out(self, bench: AuthenticatorBench) -> None:
        credentials = await bench.valid()
        if not credentials.payload:
            pytest.skip("the valid credentials sign nothing")
        shown = f"{credentials.scheme} {credentials.token}"
        by_header = Request(method="POST", path="/", headers={"authorization": shown})
        with pytest.raises(Unauthenticated):  # before anybody is asked
            read_credentials(by_header)

    @needs("read")
    async def test_a_request_without_credentials_has_none(self, bench: AuthenticatorBench) -> None:
        await bench.valid()
        for method in ("GET", "HEAD", "POST"):
            plain = Request(method=method, path="/", headers={"host": "broker"}, body=b"body")
            assert bench.find(plain) is None

    @needs("read")
    async def test_garbage_where_credentials_stand_is_not_none(
        self, bench: AuthenticatorBench
    ) -> None:
        request = await bench.sample()
        assert isinstance(request, Request), "`valid` has to return a request, which is read"
        for name in request.headers:
            for garbage in HEADERS if matters(bench, request, name) else ():
                sample = replace(request, headers={**request.headers, name: garbage})
                assert not isinstance(await bench.ask(sample), Identity), (name, garbage)
                assert found(bench, sample) is not None, (name, garbage)


def text() -> st.SearchStrategy[str]:
    """Return what draws tokens, as servers pass them on: headers are Latin-1."""
    latin = st.text(st.characters(max_codepoint=255), max_size=200)
    long = st.builds(lambda one, times: one * times, latin, st.integers(1, 80))
    dotted = st.lists(latin, min_size=2, max_size=5).map(".".join)
    return st.one_of(latin, long, dotted, st.text(max_size=50)).map(lambda one: one[:MOST])


def spliced(token: str) -> st.SearchStrategy[str]:
    """Return what draws tokens of which a piece was replaced, perhaps by nothing."""

    def splice(begin: int, end: int, piece: str) -> str:
        return token[:begin] + piece + token[end:]

    place = st.integers(0, len(token))
    piece = st.text(st.characters(max_codepoint=255), max_size=20)
    return st.builds(splice, place, place, piece)


def changed(token: str) -> st.SearchStrategy[str]:
    """Return what draws tokens that are another one but for one character."""
    places = [match.start() for match in INSIDE.finditer(token)]
    if not places:
        pytest.skip("the token is a single character")

    def change(place: int, character: str) -> str:
        return token[:place] + character + token[place + 1 :]

    drawn = st.builds(change, st.sampled_from(places), st.sampled_from(string.ascii_letters))
    return drawn.filter(lambda one: one.lower() != token.lower())


def matters(bench: AuthenticatorBench, request: Request, name: str) -> bool:
    """Tell whether credentials are read in this header."""
    rest = {other: value for other, value in request.headers.items() if other != name}
    return found(bench, replace(request, headers=rest)) != found(bench, request)


def found(bench: AuthenticatorBench, request: Request) -> Credentials | str | None:
    """Return what is found in a request, or how that is refused."""
    try:
        return bench.find(request)
    except (Unauthenticated, Unavailable) as refusal:
        return repr(refusal)
