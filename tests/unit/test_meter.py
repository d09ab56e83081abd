"""What parts register their numbers with."""

import math

import pytest

from broker import Distribution, Measurement, Meter, PluginError
from broker.meter import MAX_SERIES


def read(meter):
    failures = []
    shown = list(meter.read(lambda *failure: failures.append(failure)))
    assert failures == []
    return shown


def points(meter):
    return {measurement.name: measurement.points for measurement in read(meter)}


def test_a_counter_without_labels_is_there_before_anything_was_counted():
    meter = Meter()
    counter = meter.counter("letters_sent", "Letters that were sent.")

    assert points(meter) == {"broker_letters_sent": {(): 0}}

    counter.add()
    counter.add(2)

    assert read(meter) == [
        Measurement(
            name="broker_letters_sent",
            description="Letters that were sent.",
            kind="counter",
            labels=(),
            points={(): 3},
        )
    ]


def test_a_counter_counts_by_the_values_of_its_labels():
    meter = Meter()
    counter = meter.counter("letters_sent", "Sent.", labels=("country", "speed"))

    counter.add(1, "br", "slow")
    counter.add(2, "pt", "slow")
    counter.add(3, "br", "slow")

    assert points(meter) == {"broker_letters_sent": {("br", "slow"): 4, ("pt", "slow"): 2}}


def test_a_value_belongs_to_the_bucket_whose_bound_it_is():
    meter = Meter()
    histogram = meter.histogram("letter_grams", "Weight.", (20, 50))

    for grams in (0, 20, 21, 50, 51, 5000):
        histogram.record(grams)

    assert points(meter) == {
        "broker_letter_grams": {(): Distribution((20, 50), (2, 2, 2), 0 + 20 + 21 + 50 + 51 + 5000)}
    }


def test_a_histogram_records_by_the_values_of_its_labels():
    meter = Meter()
    histogram = meter.histogram("letter_grams", "Weight.", (20,), labels=("country",))

    histogram.record(10, "br")
    histogram.record(30, "br")
    histogram.record(10, "pt")

    assert points(meter)["broker_letter_grams"] == {
        ("br",): Distribution((20,), (1, 1), 40),
        ("pt",): Distribution((20,), (1, 0), 10),
    }


def test_what_is_shown_does_not_change_afterwards():
    meter = Meter()
    counter = meter.counter("letters", "All.", labels=("to",))
    counter.add(1, "a")
    [before] = read(meter)

    counter.add(1, "a")
    counter.add(1, "b")

    assert before.points == {("a",): 1}


def test_a_gauge_is_read_when_it_is_shown():
    meter = Meter()
    inbox = []
    meter.gauge("inbox_letters", "In the box.", lambda: len(inbox))
    meter.gauge("inbox_by", "By sender.", lambda: {("ann",): len(inbox)}, labels=("sender",))
    meter.counted("inbox_read", "That were read.", lambda: 7)

    inbox.append("letter")

    assert [(one.kind, one.points) for one in read(meter)] == [
        ("gauge", {(): 1}),
        ("gauge", {("ann",): 1}),
        ("counter", {(): 7}),
    ]


def test_beyond_a_thousand_combinations_all_labels_are_other():
    meter = Meter()
    counter = meter.counter("seen", "Seen.", labels=("who", "where"))
    histogram = meter.histogram("heard", "Heard.", (1,), labels=("who",))
    for number in range(MAX_SERIES + 5):
        counter.add(2, str(number), "here")
        histogram.record(0, str(number))

    seen, heard = (one.points for one in read(meter))

    assert len(seen) == len(heard) == MAX_SERIES + 1
    assert seen["_other", "_other"] == 10
    assert heard["_other",].counts == (5, 0)
    assert seen["999", "here"] == 2


@pytest.mark.parametrize("labels", [(), ("a",), ("a", "b", "c"), ("a", 200)])
def test_all_labels_are_given_and_are_text(labels):
    counter = Meter().counter("seen", "Seen.", labels=("who", "where"))
    histogram = Meter().histogram("heard", "Heard.", (1,), labels=("who", "where"))

    with pytest.raises(TypeError, match="label"):
        counter.add(1, *labels)
    with pytest.raises(TypeError, match="label"):
        histogram.record(1, *labels)


def test_a_name_that_is_taken_names_both_who_wanted_it():
    meter = Meter()
    meter.of("acme").counter("letters", "Ours.")

    with pytest.raises(PluginError) as refused:
        meter.of("other").gauge("letters", "Ours, too.", lambda: 1)

    assert str(refused.value) == (
        'plugin "other": the metric "letters" is one of "acme" already; choose another name'
    )
    assert list(points(meter)) == ["broker_letters"]


@pytest.mark.parametrize(
    "name", ["", "Letters", "letters-sent", "_letters", "9letters", "letters_total", "letters\n"]
)
def test_a_name_that_formats_would_not_take_is_refused(name):
    with pytest.raises(ValueError, match="a metric cannot be called"):
        Meter().counter(name, "Letters.")


@pytest.mark.parametrize("label", ["", "To", "__name__", "le", "quantile"])
def test_so_is_a_label(label):
    with pytest.raises(ValueError, match="a label of letters cannot be called"):
        Meter().counter("letters", "Letters.", labels=("from", label))


@pytest.mark.parametrize("bounds", [(), (1, 1), (2, 1)])
def test_bounds_rise(bounds):
    with pytest.raises(ValueError, match="the bounds of letters do not rise"):
        Meter().histogram("letters", "Letters.", bounds)


@pytest.mark.parametrize("bounds", [(1, math.inf), (-math.inf, 1), (math.nan,), (1, math.nan)])
def test_bounds_are_finite(bounds):
    with pytest.raises(ValueError, match="the bounds of letters are not all finite"):
        Meter().histogram("letters", "Letters.", bounds)


def fail():
    raise SystemExit


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (fail, SystemExit),
        (lambda: None, TypeError),
        (lambda: "3", TypeError),
        (lambda: {("a",): 1}, TypeError),
    ],
)
def test_one_that_cannot_be_read_hides_no_other(read, error):
    meter = Meter()
    meter.counter("letters", "Letters.")
    meter.of("acme").gauge("broken", "Broken.", read)
    meter.of("acme").gauge("whole", "Whole.", lambda: 2)
    failures = []

    shown = list(meter.read(lambda *failure: failures.append(failure)))

    assert [one.name for one in shown] == ["broker_letters", "broker_whole"]
    [(plugin, step, raised)] = failures
    assert (plugin, step) == ("acme", "read a metric")
    assert isinstance(raised, error)
