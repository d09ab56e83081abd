"""docs/writing-an-authenticator.md is followed to the letter, and does what it says."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from pages import blocks, examples, matches

PAGE = (Path(__file__).parents[2] / "docs" / "writing-an-authenticator.md").read_text()
FILES = dict(re.findall(r"^```(?:toml|python)\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
"""The files that the page shows, by their names."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The plugin of the page, as a stranger has it in a folder of their own."""
    folder = tmp_path_factory.mktemp("broker-acme")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def site(folder, tmp_path_factory):
    """Where its wheel is installed."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", site, folder]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = site.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_the_plugin_of_the_page_keeps_its_contracts(folder, site):
    [(command, shown)] = [one for one in examples(PAGE) if "pytest" in one[0]]
    _, *options = command.split()

    done = subprocess.run(
        [sys.executable, *options, "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{site}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    for line in shown.splitlines():
        assert any(matches(line, printed) for printed in lines), f"{line}\n{done.stdout}"
    kept = [line for line in lines if " keeps contract 1.0: " in line]
    assert len(kept) == 4


@pytest.mark.skipif(
    None in (shutil.which("curl"), shutil.which("openssl")), reason="the page uses curl and openssl"
)
def test_the_broker_of_the_page_answers_as_shown(site, live_server, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{site}")
    [setup] = [block for block in blocks(PAGE, "sh") if "ANN_KEY" in block]
    exports = "\n".join(line for line in setup.splitlines() if line.startswith("export"))
    names = re.findall(r"export (\w+)=", exports)
    printing = f"{exports}\nprintf '%s\\n' " + " ".join(f'"${name}"' for name in names)
    secrets = subprocess.check_output(["sh", "-euc", printing], text=True).splitlines()
    for name, secret in zip(names, secrets, strict=True):
        monkeypatch.setenv(name, secret)
    config = tomllib.loads(FILES["broker.toml"])
    config["broker"]["anonymous"] = False
    server = live_server(config["broker"].pop("plugins"), config=config)

    for command, shown in examples(PAGE):
        if command.startswith("curl"):
            run = command.replace("localhost:8777", f"127.0.0.1:{server.port}")
            printed = subprocess.check_output(["sh", "-euc", run], text=True, timeout=60)
            assert matches(shown, printed), (command, printed)
