"""What the API documentation tells of the route of this plugin."""

from __future__ import annotations

from broker import Answer, Description, InvalidToken, NotAcceptable

from broker_metrics.exposition import CONTENT_TYPES

METRICS = Description(
    name="get_metrics",
    tag="Status",
    needs=None,
    answers=tuple(Answer(bytes, media_type=form) for form in CONTENT_TYPES),
    errors=(InvalidToken, NotAcceptable),
)
