"""Metrics of a whole broker, and what is made of them: the docs, the dashboard, the alerts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from tables import table

from broker.tracing import exporting

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "replika-broker.json"
PLUGINS = ["storage_sqlite", "ratelimit", "sse", "graphql", "metrics"]
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


async def scrape(client, clock):
    """The samples of a scrape that looks anew: (name, labels, value)."""
    clock.advance(1)
    answer = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return [
        (sample.name, sample.labels, sample.value)
        for family in families
        for sample in family.samples
    ]


async def do_a_little_of_everything(client):
    """Whatever is shown with labels happens once."""
    await client.create_queue("orders")
    await client.publish("orders", "tea")
    for _ in range(2):
        await client.get("/queues/orders")
    client.broker.failures.count("acme", "observe")
    stream = client.stream("GET", "/queues/orders/messages/stream")
    async with stream:
        return await scrape(client, client.clock)


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
        for one in site.broker.measure()
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
    for alert in rules():
        texts = " ".join(alert["annotations"].values())
        yield alert["expr"], re.findall(r"\$labels\.(\w+)", texts)


def rules():
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


TARGET = {"instance", "job"}
"""What Prometheus adds to every sample."""


def unknown(expression, legend, known):
    """The metrics, and labels of them, that an expression names and no scrape has."""
    quoted = re.sub(r'"[^"]*"', '""', expression)
    used = re.findall(r"\b(broker_\w+|up)\b(?:{([^}]*)})?", quoted)
    assert used, expression
    for name, matchers in used:
        if name not in known:
            yield name
        for label in re.findall(r"(\w+)\s*=", matchers):
            if label not in known.get(name, ()) | TARGET:
                yield f"{name}{{{label}}}"
    everywhere = set.union(TARGET, *(known.get(name, set()) for name, _ in used))
    grouped = re.findall(r"\b(?:by|ignoring|on) \(([^)]*)\)", quoted)
    for label in [*legend, *(label.strip() for group in grouped for label in group.split(","))]:
        if label not in everywhere:
            yield f"by {label}"


@pytest.mark.parametrize("expressions", [dashboard_expressions, alert_expressions])
async def test_every_metric_and_label_that_is_named_is_in_a_scrape(site, clock, expressions):
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


@pytest.mark.parametrize(
    "expression",
    [
        "broker_no_such_thing",
        'broker_queues{queue="x"}',
        "sum by (queue) (broker_queues)",
        'rate(broker_messages_published_total{queue=~"{a}", reason="b"}[5m])',
    ],
)
async def test_one_that_is_in_none_is_noticed(site, expression):
    async with site:
        known = label_names(await do_a_little_of_everything(site))

    assert [*unknown(expression, [], known)] != []


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


def promtool(*arguments, cwd=None):
    command = shutil.which("promtool")
    if command is None:
        pytest.skip("promtool, of Prometheus, is not installed")
    done = subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_config_and_the_alerts():
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_prometheus_understands_the_dashboard(tmp_path):
    rules = [
        {"record": f"panel_{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, (expression, _) in enumerate(dashboard_expressions())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", str(file))


class Recorder:
    """Scrapes once a minute, as Prometheus would, and writes what it got as a test of alerts."""

    def __init__(self, client, clock):
        self._client = client
        self._clock = clock
        self._minutes = 0
        self._series = {}

    async def minutes(self, count):
        for _ in range(count):
            samples = await scrape(self._client, self._clock)
            for name, labels, value in samples:
                text = ", ".join(f"{key}={json.dumps(text)}" for key, text in labels.items())
                values = self._series.setdefault(f"{name}{{{text}}}", ["_"] * self._minutes)
                values.append(repr(value))
            self._minutes += 1
            for values in self._series.values():
                values += ["_"] * (self._minutes - len(values))
            self._clock.advance(59)

    def check(self, directory, expected):
        """Have Prometheus evaluate the alerts: `expected` are those of a name that fire at a
        minute, each with its labels and summary."""
        tests = [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": " ".join(values)}
                    for series, values in self._series.items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": f"{minute}m",
                        "alertname": name,
                        "exp_alerts": [
                            {"exp_labels": labels, "exp_annotations": self._told(name, summary)}
                            for labels, summary in alerts
                        ],
                    }
                    for minute, name, alerts in expected
                ],
            }
        ]
        shutil.copy(ALERTS, directory / "alerts.yml")
        document = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}
        (directory / "tests.yml").write_text(json.dumps(document))
        promtool("test", "rules", "tests.yml", cwd=directory)

    def _told(self, name, summary):
        [rule] = [rule for rule in rules() if rule["alert"] == name]
        return {"summary": summary, "description": rule["annotations"]["description"]}


async def test_the_alert_for_an_old_backlog_fires_and_is_over_when_it_is_consumed(
    site, clock, tmp_path
):
    async with site:
        await site.create_queue("orders")
        await site.create_queue("mail")
        recorder = Recorder(site, clock)
        await recorder.minutes(2)
        await site.publish("orders", "tea")
        await recorder.minutes(14)  # it is 300 s old in minute 7
        [leased] = await site.lease("orders")
        await site.ack(leased["receipt"])
        await recorder.minutes(3)

    fires = (
        {"severity": "warning", "queue": "orders"},
        "Messages of orders have waited for 11m 1s",
    )
    recorder.check(
        tmp_path,
        [
            (11, "BrokerBacklogOld", []),
            (13, "BrokerBacklogOld", [fires]),
            (17, "BrokerBacklogOld", []),
            (13, "BrokerMessagesFailed", []),
            (13, "BrokerNotReady", []),
        ],
    )


async def test_alerts_for_failed_messages_and_dead_letters_fire(site, clock, tmp_path):
    async with site:
        await site.create_queue("dead")
        await site.create_queue("orders", dead_letter_queue="dead")
        await site.create_queue("mail")
        recorder = Recorder(site, clock)
        await recorder.minutes(5)
        for queue in ("orders", "mail"):
            await site.publish(queue, "tea")
            [leased] = await site.lease(queue)
            await site.settle(leased["receipt"], "reject", reason="bitter")
        await recorder.minutes(3)

    failed = ({"severity": "warning", "queue": "mail"}, "1 messages of mail have failed")
    dead = ({"severity": "warning", "queue": "orders"}, "Messages of orders became dead letters")
    recorder.check(
        tmp_path,
        [
            (4, "BrokerMessagesFailed", []),
            (4, "BrokerDeadLetters", []),
            (6, "BrokerMessagesFailed", [failed]),
            (6, "BrokerDeadLetters", [dead]),
        ],
    )


async def test_the_alert_for_a_broker_that_is_not_ready_fires(site, clock, tmp_path):
    async with site:
        recorder = Recorder(site, clock)
        await recorder.minutes(2)
        site.broker.retire()
        await recorder.minutes(4)

    not_ready = ({"severity": "critical"}, "The broker  is not ready")
    recorder.check(tmp_path, [(2, "BrokerNotReady", []), (4, "BrokerNotReady", [not_ready])])
