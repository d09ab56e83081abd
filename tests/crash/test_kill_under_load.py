"""`kill -9` while eight publish and four consume: what was answered holds."""

import pytest
from crash.campaign import Campaign


@pytest.mark.timeout(300)
async def test_kill_9_under_load_breaks_no_promise(tmp_path):
    campaign = Campaign(tmp_path, seed=1)
    try:
        summary = await campaign.run(20)
    finally:
        print(campaign.summary)

    assert summary.faults == []
    assert summary.acknowledged > 5000 and summary.acked > 5000
    assert summary.slowest_ready <= 2  # seconds, as was promised
