"""The kit for plugin authors: contracts that a provider must keep, and a clock that stands still.

Needs pytest and Hypothesis (`pip install replika-broker[testing]`), and no plugin of them. The core
never imports this package.
"""

import pytest

# Before the import: assertions of the contract shall explain themselves as those of a test do.
pytest.register_assert_rewrite("broker.testing.storage")

from broker.testing.clock import ManualClock  # noqa: E402  # see above
from broker.testing.contract import Contract, lacks, needs  # noqa: E402  # see above
from broker.testing.storage import Steps, StorageContract, Workbench  # noqa: E402  # see above

__all__ = ["Contract", "ManualClock", "Steps", "StorageContract", "Workbench", "lacks", "needs"]
