"""Somebody who follows a page of the docs to the letter, in an environment of their own."""

import os
import re
import signal
import subprocess
import sysconfig
import venv

from pages import examples, matches

FILE = re.compile(r"# (\S+\.(?:py|toml))\n")
NOT_THEIRS = ("BROKER", "CI", "PYTEST")  # with CI set, pytest says more than the pages show
PACKAGES = sysconfig.get_path("purelib")


class Follower:
    """Use as a context manager; what was started is ended."""

    def __init__(self, folder):
        venv.create(folder / "venv", symlinks=True)
        own = folder / "venv" / "bin"
        [packages] = folder.glob("venv/lib/python*/site-packages")
        # What is installed where the tests run is installed there, too.
        (packages / "beside.pth").write_text(f"import site; site.addsitedir({PACKAGES!r})\n")
        for name in ("pip", "pytest", "broker"):
            script = own / name
            script.write_text(f'#!/bin/sh\nexec {own / "python"} -m {name} "$@"\n')
            script.chmod(0o755)
        self.folder = folder
        self.server = None
        self.port = "8777"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(NOT_THEIRS)},
            "PATH": f"{own}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": "localhost,127.0.0.1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # which is pip's way to say that there shall be none
            "PIP_NO_INDEX": "1",
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def write(self, text):
        """Write the file that a block names in its first line."""
        found = FILE.match(text)
        assert found, f"which file is this?\n{text}"
        path = self.folder / found[1]
        assert path.parent.is_dir()
        path.write_text(text)
        if path.name == "broker.toml":  # which has the default port, and that may be another's
            path.write_text(f"{text}[server]\nport = 0\n")

    def run(self, command, shown):
        """Run a command, and compare what it prints with what is shown."""
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return
        if command == "broker serve":
            printed = self.serve()
        else:
            printed = self.finish(command)
        assert matches(shown, printed.replace(self.port, "8777")), f"$ {command}\n{printed}"

    def finish(self, command):
        done = subprocess.run(
            ["sh", "-c", command.replace("localhost:8777", f"127.0.0.1:{self.port}")],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def serve(self):
        self.server = subprocess.Popen(
            ["broker", "serve"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        screen = ""
        for line in self.server.stdout:
            screen += line
            if line.startswith("Ctrl-C"):
                break
        self.port = re.search(r"http://127\.0\.0\.1:(\d+)\n", screen)[1]
        return screen.replace(f"  export BROKER_URL=http://127.0.0.1:{self.port}\n", "")

    def follow(self, page):
        """Write each file of a page and run each command, in its order."""
        for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            if kind in ("python", "toml"):
                self.write(text)
            elif kind == "console":
                for command, shown in examples(f"```console\n{text}```"):
                    self.run(command, shown)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.communicate()
