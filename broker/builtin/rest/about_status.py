"""What the API documentation tells of the routes that tell how the broker is."""

from __future__ import annotations

from broker import Answer, Description, Unavailable
from broker.builtin.rest.render import IndexView, ReadyView, StatusView

TAG = "Status"

RUNNING = {
    "name": "Replika Broker",
    "status": "running",
    "version": "0.1.0",
    "timestamp": "2026-11-22T21:30:00.000Z",
}

NUMBERS = {
    "start_time": "2026-11-22T21:30:00.000Z",
    "uptime_seconds": 61.5,
    "uptime_human": "0:01:01",
    "requests_total": 3,
    "requests_by_route": {"/queues/{queue}/messages": {"POST": 2}, "/stats": {"GET": 1}},
    "requests_by_status": {"200": 1, "201": 2},
    "queues_total": 1,
    "messages_total": 2,
    "messages_pending": 2,
    "messages_processing": 0,
    "messages_processed": 0,
    "messages_failed": 0,
    "last_error": None,
    "last_error_timestamp": None,
    "counts": {"pending": 2, "processing": 0, "processed": 0, "failed": 0, "scheduled": 0},
    "totals": {"published": 2},
    "rates": {"one_minute": None, "five_minutes": None, "fifteen_minutes": None},
    "system": {
        "python_version": "3.11.7",
        "platform": "Linux",
        "cpu_percent": 12.5,
        "memory_percent": 40.0,
        "memory_total_gb": 16.0,
        "memory_used_gb": 6.4,
        "memory_available_gb": 9.6,
        "disk_usage": {"/": {"total_gb": 100.0, "used_gb": 20.0, "free_gb": 80.0, "percent": 20.0}},
        "process_cpu_percent": 3.5,
        "process_memory_mb": 80.0,
        "process_memory_rss_mb": 80.0,
        "load_average": [0.5, 0.4, 0.3],
        "cpu_count_logical": 4,
        "open_file_descriptors": 32,
        "thread_count": 6,
    },
    "broker_specific": {
        "framework": "quart",
        "version": "0.1.0",
        "db_engine": "storage_sqlite",
        "auth_method": "auth_jwt",
        "notification": "sse",
        "rate_limit": "ratelimit",
        "graphql": "graphql",
        "capabilities": ["dedup", "durable", "groups", "priority", "search"],
    },
    "plugins": [{"name": "storage_sqlite", "version": "0.1.0"}],
}

INDEX = Description(name="get_index", tag=TAG, needs=None, answers=(Answer(IndexView, RUNNING),))
HEALTHZ = Description(
    name="get_health",
    tag=TAG,
    needs=None,
    answers=(Answer(StatusView, {"status": "ok"}),),
    errors=(Unavailable,),
)
READYZ = Description(
    name="get_readiness",
    tag=TAG,
    needs=None,
    answers=(Answer(ReadyView, {"status": "ready"}),),
    errors=(Unavailable,),
)
