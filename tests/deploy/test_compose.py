"""The compose file: its schema, and whether what it connects fits together."""

import os
import re
import shutil
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from deployed import DEPLOY, IMAGE_CONFIG, config_in_image, last, longest_end
from environments import execute
from served import Served

from broker.config import ServerConfig
from broker.safety import refuse_open_door

FILE = DEPLOY / "compose.yaml"


@pytest.fixture(scope="module")
def whole():
    return yaml.safe_load(FILE.read_text())


@pytest.fixture(scope="module")
def services(whole):
    return whole["services"]


def test_it_keeps_the_schema_of_compose_files():
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")

    done = execute(*check, FILE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_published_to_other_machines(services):
    for service in services.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_nobody_is_let_in_without_a_password(services, secrets, monkeypatch):
    environment = {k: v for k, v in services["broker"]["environment"].items() if v is not None}

    config = config_in_image(monkeypatch, environment, secrets=secrets["broker"])

    refuse_open_door(config, insecure=False)
    assert "auth_jwt" in config.broker.plugins
    assert not config.broker.anonymous
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"].startswith("${")


def test_a_password_that_is_not_set_is_left_to_the_first_start(services):
    # An empty one would be refused as too short.
    assert services["broker"]["environment"]["BROKER_ADMIN_PASSWORD"] is None


def test_the_broker_ends_before_it_is_killed(services):
    grace = services["broker"]["stop_grace_period"]

    assert int(grace.removesuffix("s")) > longest_end(ServerConfig())


def test_every_service_has_a_root_that_is_read_only_and_no_capability(services):
    for service in services.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_what_is_mounted_is_there(services):
    for service in services.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("."):
                assert (DEPLOY / volume.partition(":")[0]).exists(), volume


def peers(services):
    """Which services are in each network; one that names none is in `default`."""
    found = {}
    for name, service in services.items():
        assert "network_mode" not in service, f"{name} would be gone from its network in time"
        for network in service.get("networks", ["default"]):
            found.setdefault(network, set()).add(name)
    return found


def test_only_the_broker_reaches_valkey_which_has_no_way_out(services, whole):
    assert peers(services) == {
        "backstage": {"broker", "valkey"},
        "default": {"broker", "prometheus", "grafana"},
    }
    assert whole["networks"]["backstage"]["internal"] is True


@pytest.fixture(scope="module")
def scrape():
    """How Prometheus asks the broker."""
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    return job


@pytest.fixture
def secrets(services, whole, tmp_path):
    """What each service finds in /run/secrets, of one token that was made as the docs say."""
    token = os.urandom(32).hex()
    [(source, _)] = whole["secrets"].items()
    found = {}
    for name in ("broker", "prometheus"):
        [given] = services[name]["secrets"]
        given = {"source": given, "target": given} if isinstance(given, str) else given
        assert given["source"] == source
        folder = tmp_path / name
        folder.mkdir()
        (folder / given["target"]).write_text(f"{token}\n")
        found[name] = folder
    return found


def test_prometheus_asks_where_the_broker_tells(
    services, scrape, secrets, monkeypatch, tmp_path_factory
):
    assert services["broker"]["environment"]["BROKER_SECRETS_DIR"] == "/run/secrets"
    file = Path(scrape["authorization"]["credentials_file"])
    assert file.parent == Path("/run/secrets")
    monkeypatch.setattr(Served, "environment", with_secrets(secrets["broker"]))
    served = Served(tmp_path_factory.mktemp("broker"), plugins=["metrics"])
    try:
        url = f"{served.url}{scrape.get('metrics_path', '/metrics')}"
        token = (secrets["prometheus"] / file.name).read_text().strip()
        stranger = httpx.get(url, trust_env=False)
        prometheus = httpx.get(url, headers={"authorization": f"Bearer {token}"}, trust_env=False)
    finally:
        served.end()

    assert (stranger.status_code, prometheus.status_code) == (401, 200)
    assert "broker_build_info" in prometheus.text


def with_secrets(folder):
    environment = Served.environment
    return lambda served: {**environment(served), "BROKER_SECRETS_DIR": str(folder)}


def test_prometheus_asks_on_the_port_of_the_image_by_the_name_that_alerts_know(services, scrape):
    [static] = scrape["static_configs"]
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()

    assert static["targets"] == [f"broker:{last('EXPOSE')}"]
    assert set(re.findall(r'job="([^"]+)"', alerts)) == {scrape["job_name"]}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(services, tmp_path):
    [config, rules, _] = [volume.split(":")[:2] for volume in services["prometheus"]["volumes"]]
    for source, target in (config, rules):
        shutil.copy(DEPLOY / source, tmp_path / Path(target).name)
        assert Path(target).parent == Path("/etc/prometheus")

    done = execute("promtool", "check", "config", "--syntax-only", tmp_path / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    read = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert [(tmp_path / name).exists() for name in read["rule_files"]] == [True]


def test_grafana_finds_prometheus_and_the_dashboard(services):
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards" / "replika-broker.yaml").read_text())
    mounted = [volume.split(":") for volume in services["grafana"]["volumes"]]

    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]
    [provider] = providers["providers"]
    assert ["./grafana/provisioning", "/etc/grafana/provisioning", "ro"] in mounted
    assert [
        "./grafana/replika-broker.json",
        f"{provider['options']['path']}/replika-broker.json",
        "ro",
    ] in mounted


def test_its_messages_outlive_the_container(services, monkeypatch):
    data_dir = config_in_image(monkeypatch, {}).broker.data_dir
    assert f"broker:{data_dir}" in services["broker"]["volumes"]
    assert IMAGE_CONFIG.exists()
