"""Metrics of a whole broker, and what is made of them: the docs, the dashboard, the alerts."""

import json
import re

import httpx
import pytest
from alerting import DEPLOY, promtool, rules
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from scraped import samples, scrape
from tables import table

from broker.tracing import exporting
from broker_metrics.process import process_numbers

ROOT = DEPLOY.parent
DASHBOARD = DEPLOY / "grafana" / "replika-broker.json"
PLUGINS = ["storage_sqlite", "auth_jwt", "ratelimit", "sse", "graphql", "metrics"]
TOKEN = "a token of 32 bytes, or of more."
PLUGIN_TABLES = {
    "metrics": {"token": TOKEN},
    "ratelimit": {"limits": {"reads": {"rate": "1/hour", "activities": ["read"]}}},
}


@pytest.fixture
def site(broker_factory, monkeypatch):
    pytest.importorskip("broker_graphql", reason="graphql is not installed")
    monkeypatch.setattr(exporting, "exporter_to", lambda _: InMemorySpanExporter())
    traces = {"endpoint": "http://collector.test:4318"}
    return broker_factory(PLUGINS, config={"plugins": PLUGIN_TABLES, "traces": traces})


async def do_a_little_of_everything(client):
    """Whatever is shown with labels happens once."""
    await client.create_queue("orders")
    await client.publish("orders", "tea")
    for _ in range(2):
        await client.get("/queues/orders")
    client.broker.failures.count("acme", "observe")
    client.broker.served.note_connections(1)
    client.broker.served.lines_dropped = {("stderr",): 1}.copy
    stream = client.stream("GET", "/queues/orders/messages/stream")
    async with stream:
        return await scrape(client, TOKEN)


def label_names(samples):
    """The names of labels, by the names of samples."""
    names = {}
    for name, labels, _ in samples:
        names.setdefault(name, set()).update(labels)
    return names


def test_the_docs_list_all_metrics(site):
    documented = table((ROOT / "docs" / "operations.md").read_text(), "## Metrics")

    assert documented == sorted(
        [
            f"`{one.name}{'_total' if one.kind == 'counter' else ''}`",
            one.kind,
            ", ".join(f"`{label}`" for label in one.labels),
            one.description,
        ]
        for one in [*site.broker.measure(), *process_numbers()]
    )


def dashboard_expressions():
    dashboard = json.loads(DASHBOARD.read_text())
    yield from (
        (target["expr"], re.findall(r"{{(\w+)}}", target["legendFormat"]))
        for panel in dashboard["panels"]
        for target in panel["targets"]
    )
    for variable in dashboard["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]):
            yield found[1], [found[2]]


def alert_expressions():
    for alert in rules().values():
        texts = " ".join(alert["annotations"].values())
        yield alert["expr"], re.findall(r"\$labels\.(\w+)", texts)


TARGET = {"instance", "job"}
"""What Prometheus adds to every sample."""


def unknown(expression, legend, known):
    """The metrics, and labels of them, that an expression names and no scrape has; and what its
    legend says of labels that its result has not."""
    quoted = re.sub(r'"[^"]*"', '""', expression)
    used = re.findall(r"\b(broker_\w+|process_\w+|up)\b(?:{([^}]*)})?", quoted)
    assert used, expression
    for name, matchers in used:
        if name not in known:
            yield name
        for label in labels_in(matchers):
            if label not in known.get(name, set()) | TARGET:
                yield f"{name}{{{label}}}"
    everywhere = set.union(TARGET, *(known.get(name, set()) for name, _ in used))
    grouped = re.findall(r"\b(?:by|ignoring|on) \(([^)]*)\)", quoted)
    for group in grouped:
        yield from (f"by {label}" for label in re.findall(r"\w+", group) if label not in everywhere)
    [(first, matchers), *_] = used
    left = result_labels(quoted)
    if left is None:
        left = set(labels_in(matchers)) if "absent(" in quoted else known.get(first, set()) | TARGET
    yield from (f"{{{{{label}}}}}" for label in legend if label not in left)


def labels_in(matchers):
    return re.findall(r"(\w+)\s*[=!]", matchers)


def result_labels(expression):
    """The labels that are left after aggregations; None if there are none, and all are left."""
    found = re.findall(r"\b(?:sum|min|max|avg|count)\b(?: by \(([^)]*)\))? ?\(", expression)
    kept = [set(re.findall(r"\w+", group)) for group in found]
    return set.union(*kept) - {"le"} if kept else None


@pytest.mark.parametrize("expressions", [dashboard_expressions, alert_expressions])
async def test_every_metric_and_label_that_is_named_is_in_a_scrape(site, expressions):
    async with site:
        known = label_names(await do_a_little_of_everything(site)) | {"up": set()}

    found = [*expressions()]
    assert len(found) >= 10
    wrong = {
        expression: missing
        for expression, legend in found
        if (missing := [*unknown(expression, legend, known)])
    }
    assert wrong == {}


KNOWN = {
    "broker_queues": set(),
    "broker_ready": set(),
    "broker_messages_published_total": {"queue"},
    "broker_messages_settled_total": {"queue", "outcome"},
    "broker_commit_seconds_bucket": {"le"},
    "up": set(),
}


@pytest.mark.parametrize(
    ("expression", "legend"),
    [
        ("broker_queues", ["instance"]),
        ('broker_messages_published_total{queue!~"a|b", job="x"}', ["queue"]),
        ("sum by (instance, queue) (broker_messages_published_total)", ["queue", "instance"]),
        ("topk(10, sum by (queue) (broker_messages_published_total))", ["queue"]),
        ("histogram_quantile(0.9, sum by (job, le) (broker_commit_seconds_bucket))", ["job"]),
        ("broker_queues and on (job, instance) broker_ready == 1", ["job"]),
        ('absent(up{job="x"})', ["job"]),
    ],
)
def test_one_that_is_well_is_taken(expression, legend):
    assert [*unknown(expression, legend, KNOWN)] == []


@pytest.mark.parametrize(
    ("expression", "legend", "noticed"),
    [
        ("broker_no_such_thing", [], "broker_no_such_thing"),
        ("process_no_such_thing", [], "process_no_such_thing"),
        ('broker_queues{queue="x"}', [], "broker_queues{queue}"),
        ('broker_queues{queue!~"x"}', [], "broker_queues{queue}"),
        ("sum by (queue) (broker_queues)", [], "by queue"),
        ("broker_queues and on (queue) broker_ready", [], "by queue"),
        (
            'rate(broker_messages_published_total{queue=~"{a}", reason="b"}[5m])',
            [],
            "broker_messages_published_total{reason}",
        ),
        ("broker_queues", ["queue"], "{{queue}}"),
        ("sum(broker_messages_published_total)", ["queue"], "{{queue}}"),
        ("sum(rate(broker_messages_published_total[5m]))", ["instance"], "{{instance}}"),
        ("sum by (job) (broker_messages_published_total)", ["queue"], "{{queue}}"),
        ("topk(3, max by (queue) (broker_messages_published_total))", ["job"], "{{job}}"),
        (
            "histogram_quantile(0.9, sum by (job, le) (broker_commit_seconds_bucket))",
            ["le"],
            "{{le}}",
        ),
        # What is joined only narrows what the first part says.
        (
            "broker_messages_published_total and on (queue) broker_messages_settled_total",
            ["outcome"],
            "{{outcome}}",
        ),
        ('absent(up{job="x"})', ["instance"], "{{instance}}"),
    ],
)
def test_one_that_is_in_none_is_noticed(expression, legend, noticed):
    assert [*unknown(expression, legend, KNOWN)] == [noticed]


def test_a_panel_shows_what_happens_or_what_there_is_and_not_both():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        kinds = {bool(re.search(r"\b(rate|increase)\(", t["expr"])) for t in panel["targets"]}
        assert len(kinds) == 1, panel["title"]
        if panel["fieldConfig"]["defaults"]["unit"] in ("ops", "reqps"):
            assert kinds == {True}, panel["title"]


def test_panels_do_not_lie_over_each_other():
    dashboard = json.loads(DASHBOARD.read_text())
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] for panel in dashboard["panels"])


def test_prometheus_understands_the_dashboard(tmp_path):
    rules = [
        {"record": f"panel_{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, (expression, _) in enumerate(dashboard_expressions())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", str(file))


def test_a_broker_that_is_served_tells_how_many_connections_are_open(live_server, monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    config = {"plugins": {"metrics": {"token": {"env": "METRICS_TOKEN"}}}}
    server = live_server(["metrics"], config=config)
    with httpx.Client(base_url=server.url) as first, httpx.Client(base_url=server.url) as second:
        assert first.get("/healthz").status_code == 200
        answer = second.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})

    assert samples(answer.content)["broker_connections_open",] == 2
