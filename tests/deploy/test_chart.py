"""The Helm chart, rendered by Helm's own engine and held against the schemas of Kubernetes."""

import json
import re

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml
from deployed import DEPLOY, ROOT, config_in_image, last
from pages import blocks

from broker import ConfigError
from broker.builtin.rest.status import StatusRoutes
from broker.health import PING_SECONDS, STUCK_MS
from broker.server import STOP_SECONDS


CHART = DEPLOY / "helm" / "replika-broker"
DOCS = (ROOT / "docs" / "deploying.md").read_text()
IMAGE = {"repository": "registry.example/replika-broker"}
FULL = {
    "existingSecret": "keys",
    "admin": {"existingSecret": "admin"},
    "trustedProxies": ["10.0.0.5", "10.1.0.0/16"],
    "unreadySeconds": 20,
    "environment": {"BROKER__SERVER__LOG_LEVEL": "warning"},
    "persistence": {"size": "20Gi", "storageClass": "fast"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True},
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "shop"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "service": {"type": "LoadBalancer", "annotations": {"c": "d"}},
    "serviceAccount": {"annotations": {"e": "f"}},
}
OLDEST, NEWEST = "1.25", "1.37"


def render(values):
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render({"image": IMAGE, **values}, name="demo")
    manifests = (text for name, text in files.items() if name.endswith(".yaml"))
    return [one for text in manifests for one in yaml.safe_load_all(text) if one is not None]


def one(values, kind):
    [found] = [manifest for manifest in render(values) if manifest["kind"] == kind]
    return found


def pod(values):
    return one(values, "StatefulSet")["spec"]["template"]["spec"]


def variables(values):
    [container] = pod(values)["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_helm_lints_it():
    assert helm_python.lint(str(CHART))["errors"] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
def test_kubernetes_takes_what_it_renders(values, version):
    rendered = render(values)

    for manifest in rendered:
        if not manifest["apiVersion"].startswith("monitoring."):  # which is not Kubernetes' own
            kubernetes_validate.validate(manifest, version, strict=True)
    assert {manifest["kind"] for manifest in rendered} >= {"Service", "StatefulSet"}


@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
def test_the_broker_takes_every_variable(values, monkeypatch, tmp_path):
    given = variables(values)
    environment = {name: value for name, value in given.items() if name.startswith("BROKER__")}
    (tmp_path / "plugins__metrics__token").write_text("a token of some length")

    config = config_in_image(monkeypatch, environment, secrets=tmp_path)

    assert config.server.unready_seconds == values.get("unreadySeconds", 10)
    assert list(config.server.trusted_proxies) == values.get("trustedProxies", [])
    assert ("BROKER_SECRETS_DIR" in given) == ("existingSecret" in values)
    assert ("BROKER_ADMIN_PASSWORD" in given) == ("admin" in values)


def test_a_variable_that_the_broker_does_not_know_keeps_it_from_starting(monkeypatch):
    with pytest.raises(ConfigError, match="unknown key"):
        config_in_image(monkeypatch, {"BROKER__SERVER__PROT": "1"})


@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
def test_the_broker_ends_before_it_is_killed(values):
    given = variables(values)
    graceful = sum(
        int(given[f"BROKER__SERVER__{name}_SECONDS"]) for name in ("UNREADY", "SHUTDOWN")
    )

    grace = pod(values)["terminationGracePeriodSeconds"]

    assert grace > graceful + STOP_SECONDS


def test_probes_ask_what_is_always_answered_on_the_port_of_the_image():
    [container] = pod({})["containers"]
    asked = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}

    assert asked == {
        "startupProbe": {"path": "/healthz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }
    probes = {route.path for route in StatusRoutes(None).routes() if route.is_probe}
    assert {get["path"] for get in asked.values()} <= probes
    assert container["ports"] == [{"name": "http", "containerPort": int(last("EXPOSE"))}]


def test_until_a_restart_is_a_chance_to_come_back_and_until_it_is_unready_is_none():
    [container] = pod({})["containers"]
    live, ready = container["livenessProbe"], container["readinessProbe"]
    seconds = live["failureThreshold"] * live["periodSeconds"]

    # What the broker knows of itself took five minutes; a machine that is busy may take one.
    assert 30 <= seconds < STUCK_MS / 1000
    assert ready["failureThreshold"] == 1
    assert min(live["timeoutSeconds"], ready["timeoutSeconds"]) > PING_SECONDS


def test_a_large_store_has_half_an_hour_to_open():
    [container] = pod({})["containers"]
    probe = container["startupProbe"]

    assert probe["failureThreshold"] * probe["periodSeconds"] == 30 * 60
    assert "has half an hour to open a large store" in DOCS


def test_it_runs_as_the_user_of_the_image_who_may_do_nothing_else():
    spec = pod({})
    [container] = spec["containers"]

    assert f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}" == (
        last("USER")
    )
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_one_broker_writes_to_a_volume_that_outlives_it():
    spec = one({}, "StatefulSet")["spec"]
    [claim] = spec["volumeClaimTemplates"]
    [container] = spec["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}

    assert spec["replicas"] == 1
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert mounts["data"] == last("VOLUME")


def test_consumers_reach_a_broker_that_is_not_ready():
    services = {
        one["metadata"]["name"]: one["spec"] for one in render({}) if one["kind"] == "Service"
    }

    assert services["demo-headless"]["publishNotReadyAddresses"] is True
    assert "publishNotReadyAddresses" not in services["demo"]
    assert one({}, "StatefulSet")["spec"]["serviceName"] == "demo-headless"


@pytest.mark.parametrize(
    "values",
    [
        {"replicaCount": 2},
        {"image": {"repository": ""}},  # it would be pulled from docker.io
        {"unreadySeconds": "10"},
        {"environment": {"lower": "x"}},
        {"persistence": {"size": "much"}},
        {"serviceMonitor": {"enabled": True}},  # without the token
    ],
)
def test_values_that_mean_nothing_are_refused(values):
    with pytest.raises(helm_python.HelmError):
        render(values)


RELIED_ON = [
    "PATH",
    "BROKER_CONFIG",
    "BROKER__BROKER__DATA_DIR",
    "BROKER__PLUGINS__STORAGE_SQLITE__PATH",
    "BROKER__SERVER__HOST",
    "BROKER__SERVER__PORT",
    "BROKER__SERVER__TLS",
    "BROKER__SERVER__TLS__CERT",
]
"""Variables that would make another broker of it than the one that probes, ports and volumes are for."""


@pytest.mark.parametrize("name", sorted({*RELIED_ON, *variables({**FULL, "environment": {}})}))
def test_what_the_chart_says_itself_is_not_said_again(name):
    with pytest.raises(helm_python.HelmError):
        render({"environment": {name: "1"}})


def test_no_variable_says_a_whole_section(monkeypatch):
    with pytest.raises(ConfigError):
        config_in_image(monkeypatch, {"BROKER__SERVER": '{"port": 1}'})


def nested(values, schema, path=()):
    """Yield the path to each key of values, but for what may have any."""
    for key, value in values.items():
        yield (*path, key)
        if "properties" in schema["properties"][key]:
            yield from nested(value, schema["properties"][key], (*path, key))


def known(schema, path=()):
    """Yield the path to each property of a schema within a schema."""
    for key, value in schema.get("properties", {}).items():
        yield (*path, key)
        yield from known(value, (*path, key))


def test_each_default_keeps_the_schema_and_each_value_has_one():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    jsonschema.validate(values, schema)
    unsaid = {("global",), ("nameOverride",)}
    assert set(nested(values, schema)) == set(known(schema)) - unsaid


def test_the_job_is_the_one_that_alerts_know():
    monitor = one(FULL, "ServiceMonitor")["spec"]
    labels = [each["metadata"]["labels"] for each in render(FULL) if each["kind"] == "Service"]
    [selected] = [
        each for each in labels if monitor["selector"]["matchLabels"].items() <= each.items()
    ]
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()

    assert set(re.findall(r'job="([^"]+)"', alerts)) == {selected[monitor["jobLabel"]]}


def test_alerts_and_dashboard_are_those_of_everybody():
    rule, configmap = one(FULL, "PrometheusRule"), one(FULL, "ConfigMap")
    alerts, dashboard = (
        (DEPLOY / path).read_text()
        for path in ("prometheus/alerts.yml", "grafana/replika-broker.json")
    )

    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert configmap["metadata"]["labels"]["grafana_dashboard"] == "1"
    # Copies, which `make docs` brings up to date: a chart is packed without what lies outside of it.
    assert rule["spec"] == yaml.safe_load(alerts)
    assert configmap["data"] == {"replika-broker.json": dashboard}


def test_the_pod_that_restores_has_the_user_and_the_volume_of_the_broker():
    [block] = blocks(DOCS, "yaml")
    restoring = yaml.safe_load(block)
    [container], [broker] = restoring["spec"]["containers"], pod({})["containers"]
    [claim] = one({}, "StatefulSet")["spec"]["volumeClaimTemplates"]

    kubernetes_validate.validate(restoring, NEWEST, strict=True)
    assert restoring["spec"]["securityContext"].items() <= pod({})["securityContext"].items()
    [mount] = container["volumeMounts"]
    assert mount in broker["volumeMounts"]
    [volume] = restoring["spec"]["volumes"]
    name = volume["persistentVolumeClaim"]["claimName"]
    assert name == f"{claim['metadata']['name']}-broker-0"  # of `helm install broker`
    assert container["args"][:2] == ["db", "restore"]


def test_nothing_of_operators_is_made_where_there_is_none():
    assert {manifest["kind"] for manifest in render({})} == {
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }
