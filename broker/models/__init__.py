"""The value objects that cross boundaries: frozen, and the same for every transport and storage.

Times are int milliseconds UTC since 1970; durations in a policy are seconds.
"""

from broker.models.leases import (
    Deliveries,
    Delivery,
    Lease,
    LeaseResult,
    Settle,
    Settled,
    SettleKind,
    SettleOutcome,
    SettleResult,
)
from broker.models.messages import (
    BulkResult,
    Draft,
    Ended,
    Maintenance,
    Message,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    State,
    StateFilter,
)
from broker.models.queues import (
    Counts,
    Overview,
    Queue,
    QueueName,
    QueuePolicy,
    QueueSpec,
    QueueStatus,
    Seconds,
    Summary,
    Totals,
)

__all__ = [
    "BulkResult",
    "Counts",
    "Deliveries",
    "Delivery",
    "Draft",
    "Ended",
    "Lease",
    "LeaseResult",
    "Maintenance",
    "Message",
    "MessageQuery",
    "NewMessage",
    "Overview",
    "Page",
    "PublishResult",
    "Queue",
    "QueueName",
    "QueuePolicy",
    "QueueSpec",
    "QueueStatus",
    "Seconds",
    "Settle",
    "SettleKind",
    "SettleOutcome",
    "SettleResult",
    "Settled",
    "State",
    "StateFilter",
    "Summary",
    "Totals",
]
