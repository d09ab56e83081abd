"""The kit for plugin authors: contracts that a provider must keep, and a clock that stands still.

Needs pytest and Hypothesis (`pip install replika-broker[testing]`), and no plugin of them. The core
never imports this package.
"""

import pytest

# Before the import: assertions of the contract shall explain themselves as those of a test do.
pytest.register_assert_rewrite(
    "broker.testing.authenticator",
    "broker.testing.authorizer",
    "broker.testing.interceptor",
    "broker.testing.observer",
    "broker.testing.ordered_store",
    "broker.testing.rate_limiter",
    "broker.testing.storage",
    "broker.testing.transport",
)

from broker.testing.answer import Answer, RefusedError  # noqa: E402  # see above
from broker.testing.authenticator import AuthenticatorContract  # noqa: E402  # see above
from broker.testing.authorizer import AuthorizerContract  # noqa: E402  # see above
from broker.testing.client import Client  # noqa: E402  # see above
from broker.testing.clock import ManualClock  # noqa: E402  # see above
from broker.testing.config_used import assert_config_used  # noqa: E402  # see above
from broker.testing.context import make_context  # noqa: E402  # see above
from broker.testing.contract import Contract, lacks, needs, since  # noqa: E402  # see above
from broker.testing.exchange import Exchange  # noqa: E402  # see above
from broker.testing.factory import BrokerFactory  # noqa: E402  # see above
from broker.testing.interceptor import InterceptorBench, InterceptorContract  # noqa: E402  # see above
from broker.testing.live import LiveServer, LiveServers  # noqa: E402  # see above
from broker.testing.observer import ObserverBench, ObserverContract  # noqa: E402  # see above
from broker.testing.ordered_store import OrderedStoreContract  # noqa: E402  # see above
from broker.testing.rate_limiter import Limit, LimiterBench, RateLimiterContract  # noqa: E402  # see above
from broker.testing.recorder import Recorder  # noqa: E402  # see above
from broker.testing.steps import Steps  # noqa: E402  # see above
from broker.testing.storage import StorageContract, Workbench  # noqa: E402  # see above
from broker.testing.transport import Probe, TransportContract  # noqa: E402  # see above
from broker.testing.websocket import ClosedError, WebSocket  # noqa: E402  # see above

__all__ = [
    "Answer",
    "AuthenticatorContract",
    "AuthorizerContract",
    "BrokerFactory",
    "Client",
    "ClosedError",
    "Contract",
    "Exchange",
    "InterceptorBench",
    "InterceptorContract",
    "Limit",
    "LimiterBench",
    "LiveServer",
    "LiveServers",
    "ManualClock",
    "ObserverBench",
    "ObserverContract",
    "OrderedStoreContract",
    "Probe",
    "RateLimiterContract",
    "Recorder",
    "RefusedError",
    "Steps",
    "StorageContract",
    "TransportContract",
    "WebSocket",
    "Workbench",
    "assert_config_used",
    "lacks",
    "make_context",
    "needs",
    "since",
]
