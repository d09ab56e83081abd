"""The table `[traces]`, and OpenTelemetry's own variables."""

import os
import sys
from pathlib import Path

import pytest

from broker.config import make_config, read_config
from broker.errors import ConfigError

pytestmark = pytest.mark.usefixtures("clean_environment")

EXTRA = "needs OpenTelemetry: pip install 'replika-broker[otel]'"


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)


def read(text="", **variables):
    Path("broker.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return read_config()


def refused(text="", **variables):
    with pytest.raises(ConfigError) as caught:
        read(text, **variables)
    return str(caught.value).removeprefix("broker.toml: ")


OWN = '[traces]\nendpoint = "http://own"'


@pytest.mark.parametrize(
    ("text", "variables", "endpoint"),
    [
        ("", {}, None),
        (OWN, {}, "http://own/v1/traces"),
        ('[traces]\nendpoint = "https://own/elsewhere"', {}, "https://own/elsewhere"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4318/"}, "http://all:4318/v1/traces"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all/a"}, "http://all/a/v1/traces"),
        (
            "",
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://one/a",
            },
            "http://one/a",
        ),
        ('[traces]\nendpoint = "https://own?x=1"', {}, "https://own/v1/traces?x=1"),
        ('[traces]\nendpoint = "https://own/?x=/"', {}, "https://own/v1/traces?x=/"),
        ('[traces]\nendpoint = "https://own/a?x=1"', {}, "https://own/a?x=1"),
        (
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all/a/?x=1"},
            "http://all/a/v1/traces?x=1",
        ),
        (OWN, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all"}, "http://own/v1/traces"),
        (OWN, {"BROKER__TRACES__ENDPOINT": "http://env/"}, "http://env/v1/traces"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all", "OTEL_SDK_DISABLED": "True"}, None),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all", "OTEL_TRACES_EXPORTER": "none"}, None),
        (
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all", "OTEL_TRACES_EXPORTER": "otlp"},
            "http://all/v1/traces",
        ),
        (
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all", "OTEL_TRACES_EXPORTER": ""},
            "http://all/v1/traces",
        ),
    ],
)
def test_the_table_says_where_spans_go_else_the_environment(text, variables, endpoint):
    assert read(text, **variables).traces.endpoint == endpoint


def test_tables_that_a_program_made_have_no_environment(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all")

    assert make_config({}).traces.endpoint is None


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://c", "http://", "http://c:0", "/a"])
def test_what_is_no_url_of_http_is_refused(endpoint):
    assert refused(f'[traces]\nendpoint = "{endpoint}"') == (
        f'traces.endpoint: expected a URL like http://127.0.0.1:4318; got "{endpoint}"'
    )


def test_a_wrong_variable_is_named():
    assert refused(OTEL_EXPORTER_OTLP_ENDPOINT="c").endswith(
        'got "c/v1/traces" (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)'
    )


def test_credentials_in_an_endpoint_are_refused_and_not_shown():
    message = refused('[traces]\nendpoint = "http://me:hunter2@c"')

    assert message == (
        "traces.endpoint: holds credentials; give them in OTEL_EXPORTER_OTLP_HEADERS"
    )


@pytest.mark.parametrize("ratio", ["1.5", "-1", '"half"'])
def test_a_ratio_is_a_share(ratio):
    assert refused(f"[traces]\nratio = {ratio}").startswith(
        "traces.ratio: expected a number from 0 to 1; got "
    )


def test_a_ratio_for_a_sampler_that_takes_none_is_refused():
    assert refused('[traces]\nsampler = "always_on"\nratio = 0.5') == (
        'traces.ratio: "always_on" takes no ratio; remove one of both; got 0.5'
    )


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_ratio_for_a_sampler_by_ratio_is_taken(sampler):
    assert read(f'[traces]\nsampler = "{sampler}"\nratio = 1').traces.ratio == 1


def test_an_endpoint_without_the_extra_is_refused(without_the_extra):
    assert refused(OWN) == f"traces.endpoint: {EXTRA}"


def test_an_environment_for_all_programs_is_no_mistake_without_the_extra(without_the_extra):
    config = read(OTEL_EXPORTER_OTLP_ENDPOINT="http://all")

    assert config.traces.endpoint is None
    assert config.warnings == (
        f"traces.endpoint: {EXTRA} (environment variable OTEL_EXPORTER_OTLP_ENDPOINT); "
        "nothing is traced",
    )
