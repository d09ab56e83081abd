"""The contract of observers, kept by the audit log."""

from broker.testing import ObserverContract, make_context
from broker_auth_jwt import config_schema, provide_observer


class TestAudit(ObserverContract):
    contract = "1.0"

    def make_observer(self, tmp_path, clock):
        config = config_schema()()
        return provide_observer(make_context(tmp_path, clock, name="auth_jwt", config=config))

    def count_kept(self, observer, tmp_path):
        return len((tmp_path / "audit.jsonl").read_text().splitlines())
