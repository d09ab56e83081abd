"""What plugins can do that no plugin should."""

import asyncio

ODD_ERRORS = [
    RuntimeError("secret"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    RecursionError("secret"),
    MemoryError(),
    BaseException("secret"),
]
"""What code may raise, much of which is not for it to raise. None of it is a BrokerError."""

odd_errors = dict(argnames="error", argvalues=ODD_ERRORS, ids=lambda error: type(error).__name__)
