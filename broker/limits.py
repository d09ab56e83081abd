"""How much of everything the broker takes, the same for every transport and storage."""

DEFAULT_PRIORITY = 4
"""The priority of a message that comes without one."""

TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"
"""The content type of text that comes without one."""

BINARY_CONTENT_TYPE = "application/octet-stream"
"""The content type of bytes that come without one."""

YEAR = 366 * 24 * 3600
"""Seconds of a leap year: the longest delay, ttl or backoff."""

MAX_LEASE_SECONDS = 43_200
"""How long a message may be leased, all extensions included."""

MAX_PRIORITY = 9
"""The highest priority; the lowest is 0."""

MAX_LABEL = 255
"""Characters of a group, of a dedup key, of a content type."""

MAX_TEXT = 1024
"""Characters of a reason, and of a text that is searched for."""

MAX_HEADERS = 64
"""Headers of one message."""

MAX_HEADERS_BYTES = 16 * 1024
"""Bytes of all headers of one message, names and values."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Bytes of a body, whatever the queue's policy says."""

MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of the bodies that one publish, one lease or one page has in all."""

MAX_SMALL_BODY_BYTES = 64 * 1024
"""Bytes that a route takes of a body, unless it says otherwise; as much is read of everybody."""

MAX_BATCH_MESSAGES = 1000
"""Messages of one publish, and operations of one settle."""

MAX_LEASE_MESSAGES = 100
"""Messages of one lease."""

MAX_PAGE = 1000
"""Items of one page, of queues or messages."""

MAX_PREFETCH = 1000
"""Unsettled messages of one consuming stream."""

MAX_WAIT_SECONDS = 20
"""How long one request may wait for a message."""

MAX_INT64 = 2**63 - 1
"""The largest id."""

QUEUE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z"
"""What a queue may be called."""

PRINTABLE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\Z"
"""Text without control characters and halves of surrogates, which labels and headers are."""
