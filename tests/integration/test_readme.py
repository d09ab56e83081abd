"""The examples of the README are run, and what they print is what it shows"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pages import blocks, examples, matches
from served import BROKER

pytest.importorskip("broker_graphql", reason="the plugin graphql is not installed")

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A folder with the README's config, and a broker that runs there on a free port."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copy(ROOT / "README.md", folder)
    [config] = blocks(README, "toml")
    (folder / "broker.toml").write_text(config.replace("port = 8777", "port = 0"))
    environment = {
        **{name: value for name, value in os.environ.items() if "BROKER" not in name},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "localhost,127.0.0.1",
    }
    process = subprocess.Popen(
        [*BROKER, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    screen = ""
    for line in process.stdout:
        screen += line
        if line.startswith("Ctrl-C"):
            break
    port = re.search(r":(\d+)\n", screen).group(1)
    environment["BROKER_URL"] = f"http://127.0.0.1:{port}"
    environment["XDG_CONFIG_HOME"] = str(folder / "config")
    yield folder, environment, port, screen
    process.send_signal(signal.SIGTERM)
    process.communicate()


def test_the_screen_is_the_one_that_the_readme_shows(newcomer):
    _, _, port, screen = newcomer
    [shown] = blocks(README, "text")

    own_port = f"  export BROKER_URL=http://127.0.0.1:{port}\n"
    assert matches(shown, screen.replace(own_port, "").replace(port, "8777"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README uses curl")
def test_the_examples_do_what_the_readme_shows(newcomer):
    folder, environment, port, screen = newcomer
    password = re.search(r"with the password (\S+)", screen).group(1)
    found = list(examples(README))
    assert len(found) >= 8
    for command, shown in found:
        done = subprocess.run(
            ["sh", "-c", command.replace("localhost:8777", f"127.0.0.1:{port}")],
            cwd=folder,
            env=environment,
            input=f"{password}\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

        assert done.returncode == 0, (command, done.stdout)
        assert matches(shown, done.stdout.replace(port, "8777")), (command, done.stdout)


def test_what_can_be_made_is_there_and_what_is_there_is_shown():
    made = re.findall(r"^([a-z]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = re.findall(r"^make (\w+)", "\n".join(blocks(README, "sh")), re.MULTILINE)

    # What only those need who change the project is shown by `make` itself.
    assert set(made) - set(shown) == {"help", "surface", "format", "clean"}
    assert set(shown) <= set(made)


def test_what_is_to_be_read_on_is_all_there_is():
    linked = set(re.findall(r"\]\(([^)#]+)\)", README.partition("## Read on")[2]))
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md"), ROOT / "CHANGELOG.md"]

    assert {str(page.relative_to(ROOT)) for page in pages} - linked == set()


def test_routes_that_are_told_of_are_answered_to_strangers_or_to_admins(newcomer):
    _, _, port, _ = newcomer
    told = set(re.findall(r"`(/[a-z./]+)`", README))

    answers = {
        path: httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code
        for path in told
    }
    assert answers == {"/docs": 200, "/openapi.json": 200, "/stats": 401}
