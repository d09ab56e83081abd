"""What README.md shows is what happens, with curl against a served broker."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from broker_json_schema import config_schema

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(kind):
    [found] = re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def port(live_server, tmp_path):
    """The port of a broker with the page's config and the page's schema."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text(block("json"))
    tables = tomllib.loads(block("toml"))
    plugins = tables["broker"].pop("plugins")
    tables["broker"]["data_dir"] = str(tmp_path)
    return live_server(plugins, config=tables).port


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_broker_answers_as_the_page_shows(port):
    for example in re.split(r"^\$ ", block("console"), flags=re.MULTILINE)[1:]:
        command, shown = re.fullmatch(r"((?:.*\\\n)*.*\n)(.*\n)?", example).groups()
        text = command.replace("localhost:8777", f"127.0.0.1:{port}")
        done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, timeout=60)

        expected = ".*".join(map(re.escape, (shown or "").strip().split("…")))
        assert re.fullmatch(expected, done.stdout), (command, done.stdout, done.stderr)


def test_every_option_is_on_the_page():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE))

    assert rows == {
        name: f"{'required' if field.is_required() else f'`{json.dumps(field.default)}`'} "
        f"| {field.description}"
        for name, field in config_schema().model_fields.items()
    }
