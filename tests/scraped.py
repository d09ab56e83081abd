"""What a scrape says, read by Prometheus' own parsers."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text


def families(body, *, openmetrics=False):
    """The metrics by name."""
    read = read_openmetrics if openmetrics else read_text
    return {family.name: family for family in read(body.decode())}


def samples(body):
    """The value of each sample, by its name and the values of its labels, in the order of names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families(body).values()
        for sample in family.samples
    }


async def scrape(client, token):
    """The samples of a scrape that looks anew: (name, labels, value)."""
    client.clock.advance(1)
    answer = await client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status == 200
    return [
        (sample.name, sample.labels, sample.value)
        for family in families(answer.body).values()
        for sample in family.samples
    ]
