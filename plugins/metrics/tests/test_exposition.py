"""The formats, as Prometheus' own parsers read them."""

import asyncio

import pytest
from scraped import families, samples

from broker import Distribution, Measurement, Meter
from broker_metrics.exposition import AT_ONCE, OPENMETRICS, TEXT, write


def read(meter):
    return [*meter.read(lambda *failure: pytest.fail(str(failure)))]


def example():
    meter = Meter()
    meter.counter("letters", "Letters.\nAll \\ of them.", labels=("to",)).add(3, 'a"b\\c\nd')
    meter.gauge("boxes", "Boxes.", lambda: 2.5)
    histogram = meter.histogram("weight_grams", "Weight.", (20, 50), labels=("to",))
    for grams in (20, 30, 70):
        histogram.record(grams, "br")
    meter.counter("never", "Nothing yet.", labels=("to",))
    return read(meter)


async def test_the_text_format():
    assert (await write(TEXT, example())).decode() == (
        "# HELP broker_letters_total Letters.\\nAll \\\\ of them.\n"
        "# TYPE broker_letters_total counter\n"
        'broker_letters_total{to="a\\"b\\\\c\\nd"} 3.0\n'
        "# HELP broker_boxes Boxes.\n"
        "# TYPE broker_boxes gauge\n"
        "broker_boxes 2.5\n"
        "# HELP broker_weight_grams Weight.\n"
        "# TYPE broker_weight_grams histogram\n"
        'broker_weight_grams_bucket{le="20.0",to="br"} 1.0\n'
        'broker_weight_grams_bucket{le="50.0",to="br"} 2.0\n'
        'broker_weight_grams_bucket{le="+Inf",to="br"} 3.0\n'
        'broker_weight_grams_count{to="br"} 3.0\n'
        'broker_weight_grams_sum{to="br"} 120.0\n'
        "# HELP broker_never_total Nothing yet.\n"
        "# TYPE broker_never_total counter\n"
    )


async def test_openmetrics():
    body = await write(OPENMETRICS, example())

    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    found = families(body, openmetrics=True)
    assert {name: family.type for name, family in found.items()} == {
        "broker_letters": "counter",
        "broker_boxes": "gauge",
        "broker_weight_grams": "histogram",
        "broker_never": "counter",
    }
    [letters] = found["broker_letters"].samples
    assert (letters.labels, letters.value) == ({"to": 'a"b\\c\nd'}, 3)


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
@pytest.mark.parametrize("many", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 7 * AT_ONCE])
async def test_however_many_there_are_it_is_one_metric(form, many):
    measurement = Measurement(
        name="broker_letters",
        description="Letters.",
        kind="counter",
        labels=("to",),
        points={(str(number),): number for number in range(many)},
    )
    body = await write(form, [measurement])

    assert body.count(b"# TYPE") == body.count(b"# HELP") == 1
    [family] = families(body, openmetrics=form == OPENMETRICS).values()
    assert [sample.value for sample in family.samples] == [*range(many)]


async def test_others_have_their_turn_while_much_is_written():
    buckets = Distribution((1, 2, 3), (1, 1, 1, 1), 10)
    measurement = Measurement(
        name="broker_much",
        description="Much.",
        kind="histogram",
        labels=("of",),
        points={(str(number),): buckets for number in range(1_000)},
    )
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    await write(TEXT, [measurement])
    task.cancel()

    assert turns >= 1_000 * 6 / (AT_ONCE + 6)


async def test_a_label_that_is_no_text_is_written_all_the_same():
    meter = Meter()
    meter.counter("letters", "Letters.", labels=("to",)).add(1, "\udcff")

    assert samples(await write(TEXT, read(meter))) == {("broker_letters_total", "?"): 1}
