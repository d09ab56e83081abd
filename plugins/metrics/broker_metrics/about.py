"""What the API documentation tells of the route of this plugin."""

from __future__ import annotations

from broker import Answer, Description, InvalidToken, NotAcceptable, Unauthenticated

from broker_metrics.exposition import CONTENT_TYPES

TOKEN = {
    "metrics": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `token` of `[plugins.metrics]`; it opens nothing else.",
    }
}
EXAMPLE = """# HELP broker_queues Queues that there are.
# TYPE broker_queues gauge
broker_queues 3.0
"""

METRICS = Description(
    name="get_metrics",
    tag="Status",
    needs=None,
    security=TOKEN,
    answers=tuple(Answer(bytes, EXAMPLE, form) for form in CONTENT_TYPES),
    errors=(Unauthenticated, InvalidToken, NotAcceptable),
)
