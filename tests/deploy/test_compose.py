"""The compose file: its schema, and whether what it connects fits together."""

import sys

import pytest
import yaml
from deployed import DEPLOY, IMAGE_CONFIG, config_in_image, longest_end
from environments import execute

from broker.config import ServerConfig
from broker.safety import refuse_open_door
from broker_metrics.config import DEFAULT_ADDRESS

FILE = DEPLOY / "compose.yaml"


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(FILE.read_text())["services"]


def test_it_keeps_the_schema_of_compose_files():
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")

    done = execute(*check, FILE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_published_to_other_machines(services):
    for service in services.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_nobody_is_let_in_without_a_password(services, monkeypatch):
    environment = {k: v for k, v in services["broker"]["environment"].items() if v is not None}

    config = config_in_image(monkeypatch, environment)

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


def test_prometheus_asks_where_the_broker_tells(services):
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    [[target]] = [
        static["targets"] for job in config["scrape_configs"] for static in job["static_configs"]
    ]

    assert services["prometheus"]["network_mode"] == "service:broker"
    assert target == f"{DEFAULT_ADDRESS.host}:{DEFAULT_ADDRESS.port}"


def test_grafana_finds_prometheus_and_the_dashboard(services):
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards" / "replika-broker.yaml").read_text())
    mounted = [volume.split(":") for volume in services["grafana"]["volumes"]]

    assert [source["url"] for source in sources["datasources"]] == ["http://broker:9090"]
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
