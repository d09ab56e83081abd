"""In which of several forms a client wants an answer (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from broker import NotAcceptable, Request
from broker.builtin.rest.explain import shorten


def choose_type(request: Request, offered: Sequence[str]) -> str:
    """Return the media type that the header Accept prefers, the first of those that it likes as
    much; raises NotAcceptable."""
    accept = request.headers.get("accept")
    if accept is None:
        return offered[0]
    wanted = [_read_range(text) for text in accept.split(",")]
    best = max(offered, key=lambda media_type: _quality(media_type, wanted))
    if _quality(best, wanted) == 0:
        choices = " or ".join(offered)
        raise NotAcceptable(f'expected an Accept that takes {choices}, got "{shorten(accept)}"')
    return best


def _quality(media_type: str, wanted: Sequence[tuple[str, float]]) -> float:
    """Return how much a type is wanted: by the range that names it most exactly."""
    whole_kind = media_type.partition("/")[0] + "/*"
    for name in (media_type, whole_kind, "*/*"):
        qualities = [quality for range_, quality in wanted if range_ == name]
        if qualities:
            return max(qualities)
    return 0


def _read_range(text: str) -> tuple[str, float]:
    range_, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return range_, min(1.0, max(0.0, float(value)))
            except ValueError:
                return range_, 0
    return range_, 1
