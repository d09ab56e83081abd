"""What is refused before there is a request."""

import pytest

from broker.serving.refusal import make_refusal


@pytest.mark.parametrize("status", [400, 408, 431, 501])
def test_the_log_knows_a_refusal_by_the_name_that_its_client_is_told(status, caplog):
    caplog.set_level("INFO", "broker.serving")
    headers, _ = make_refusal(status)

    [record] = caplog.records
    assert record.getMessage().startswith("refused: ")
    assert (record.request_id.encode(), record.status) == (dict(headers)[b"x-request-id"], status)
