"""Tables laid over one another."""

from broker.config.layers import LITERAL, Layers, Origin

ABOVE = Origin(label="above")


def layers(*tables):
    found = Layers()
    for table in tables[:-1]:
        found.add(table)
    found.add(tables[-1], lambda _path: ABOVE)
    return found


def test_tables_are_merged_and_values_replaced():
    found = layers({"s": {"a": 1, "b": {"c": 1, "d": [1, 2]}}}, {"s": {"b": {"c": 2, "d": [3]}}})

    assert found.values == {"s": {"a": 1, "b": {"c": 2, "d": [3]}}}
    assert found.origin(("s", "a")) == LITERAL
    assert found.origin(("s", "b", "c")) == ABOVE
    assert found.origin(("s", "b", "d", 0)) == ABOVE


def test_none_replaces_nothing():
    assert layers({"s": {"a": 1}}, {"s": {"a": None, "b": None}, "t": None}).values == {
        "s": {"a": 1}
    }


def test_a_table_replaces_a_value_and_a_value_a_table():
    assert layers({"s": {"a": 1, "b": {"c": 1}}}, {"s": {"a": {"x": 1}, "b": 2}}).values == {
        "s": {"a": {"x": 1}, "b": 2}
    }


def test_a_reference_replaces_a_table_and_a_reference(monkeypatch):
    monkeypatch.setenv("NAME", "text")

    found = layers(
        {"s": {"a": {"env": "GONE"}, "b": {"c": 1}}}, {"s": {"a": 1, "b": {"env": "NAME"}}}
    )

    assert found.values == {"s": {"a": 1, "b": "text"}}
    assert found.unresolved == {}
    assert found.origin(("s", "b")) == Origin(
        label="environment variable NAME", text=True, secret=True
    )


def test_what_was_replaced_is_not_remembered(monkeypatch):
    monkeypatch.setenv("NAME", "text")

    found = layers({"s": {"a": [{"env": "NAME"}]}}, {"s": {"a": ["x"]}})

    assert found.origin(("s", "a", 0)) == ABOVE


def test_a_source_is_named_for_a_value_its_parts_and_the_table_around_it():
    found = layers({"s": {}}, {"s": {"a": {"b": 1}}})

    assert found.source(("s", "a", "b", "c")) == " (above)"
    assert found.source(("s", "a")) == " (above)"
    assert found.source(("s", "x")) == ""


def test_a_table_that_was_given_is_not_changed_by_what_is_laid_over_it():
    below = {"s": {"a": {"b": 1}}}

    layers(below, {"s": {"a": {"b": 2}}})

    assert below == {"s": {"a": {"b": 1}}}


def test_what_stands_in_the_file_is_neither_a_reference_nor_from_above(monkeypatch):
    monkeypatch.setenv("NAME", "text")
    given = {"a": 1, "b": [{"env": "NAME"}, 2], "c": 3}
    found = layers({"plugins": {"acme": given}}, {"plugins": {"acme": {"c": 4}}})

    places = [("a",), ("b", 0), ("b", 1), ("c",), ("d",), ("a", "x"), ("b", 9)]
    assert [place for place in places if found.stands_in_file(("plugins", "acme", *place))] == [
        ("a",),
        ("b", 1),
    ]
