"""In which form a request comes, and its answer is wanted (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from broker.errors import Malformed, NotAcceptable, UnsupportedMediaType
from broker.http import Request
from broker.wording import shown

JSON = "application/json"

_UTF8 = frozenset({"utf-8", "utf8"})


def demand_json(request: Request) -> None:
    """Raise Malformed if a request has no body, UnsupportedMediaType if that is not called JSON."""
    if not request.body:
        raise Malformed("the body is empty; expected JSON")
    content_type = request.headers.get("content-type")
    if not is_json(content_type):
        got = "nothing" if content_type is None else shown(content_type)
        raise UnsupportedMediaType(f"expected the Content-Type {JSON}, got {got}")


def is_json(content_type: str | None) -> bool:
    """Tell whether a Content-Type says JSON, in the one encoding that JSON has."""
    if content_type is None or content_type == JSON:
        return content_type is not None
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != JSON:
        return False
    pairs = (parameter.strip().lower().partition("=") for parameter in parameters)
    return all(value.strip('"') in _UTF8 for name, _, value in pairs if name == "charset")


def choose_type(request: Request, offered: Sequence[str]) -> str:
    """Return the media type that the header Accept prefers, the first of those that it likes as
    much; raises NotAcceptable."""
    accept = request.headers.get("accept")
    if accept is None:
        return offered[0]
    wanted = _read_ranges(accept)
    best = max(offered, key=lambda media_type: _quality(media_type, wanted))
    if _quality(best, wanted) == 0:
        choices = " or ".join(offered)
        raise NotAcceptable(f"expected an Accept that takes {choices}, got {shown(accept)}")
    return best


def names_type(request: Request, media_type: str) -> bool:
    """Tell whether the header Accept takes a media type by its name, and not only as it would take
    anything."""
    ranges = _read_ranges(request.headers.get("accept", ""))
    return any(range_ == media_type and quality > 0 for range_, quality in ranges)


def _quality(media_type: str, wanted: Sequence[tuple[str, float]]) -> float:
    """Return how much a type is wanted: by the range that names it most exactly."""
    whole_kind = media_type.partition("/")[0] + "/*"
    for name in (media_type, whole_kind, "*/*"):
        qualities = [quality for range_, quality in wanted if range_ == name]
        if qualities:
            return max(qualities)
    return 0


def _read_ranges(accept: str) -> list[tuple[str, float]]:
    return [_read_range(text) for text in accept.split(",")]


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
