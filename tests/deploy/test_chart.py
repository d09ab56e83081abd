"""The Helm chart, rendered by Helm's own engine and held against the schemas of Kubernetes."""

import json

import helm_python
import kubernetes_validate
import pytest
import yaml
from deployed import DEPLOY, config_in_image, last

from broker import ConfigError
from broker.server import STOP_SECONDS
from broker.translation import PROBES

CHART = DEPLOY / "helm" / "replika-broker"
FULL = {
    "existingSecret": "keys",
    "admin": {"existingSecret": "admin"},
    "trustedProxies": ["10.0.0.5", "10.1.0.0/16"],
    "unreadySeconds": 20,
    "environment": {"BROKER__SERVER__LOG_LEVEL": "warning"},
    "persistence": {"size": "20Gi", "storageClass": "fast"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
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
        files = chart.render(values, name="demo")
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
        if manifest["kind"] != "ServiceMonitor":  # which is no kind of Kubernetes' own
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
    assert {get["path"] for get in asked.values()} <= set(PROBES)
    assert container["ports"] == [{"name": "http", "containerPort": int(last("EXPOSE"))}]


def test_until_a_restart_is_a_chance_to_come_back_and_until_it_is_unready_is_none():
    [container] = pod({})["containers"]

    assert container["livenessProbe"]["failureThreshold"] == 6
    assert container["readinessProbe"]["failureThreshold"] == 1
    assert container["startupProbe"]["failureThreshold"] * 5 == 1800


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
        {"image": {"repository": ""}},
        {"unreadySeconds": "10"},
        {"environment": {"lower": "x"}},
        {"persistence": {"size": "much"}},
        {"serviceMonitor": {"enabled": True}},  # without the token
    ],
)
def test_values_that_mean_nothing_are_refused(values):
    with pytest.raises(helm_python.HelmError):
        render(values)


def test_each_default_keeps_the_schema():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert values.keys() <= schema["properties"].keys()
