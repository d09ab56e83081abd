"""System calls of a running process that fail, or take long, by strace's fault injection."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager

import pytest


def demand_strace(command=("strace",)):
    """Skip, with the reason, where no process can be traced so."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run([*command, "-o", os.devnull, "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stderr.decode().strip()}")


def under_strace(call, effect, command):
    """Return a command whose calls of that kind are tampered with."""
    trace = ["strace", "-f", "--seccomp-bpf", "-o", os.devnull]
    return [*trace, *_tampering(call, effect), *command]


@contextmanager
def injected(process, call, effect):
    """Tamper with the calls of a running process while the block runs."""
    command = ["strace", "-f", "-p", str(process.pid), "-o", os.devnull, *_tampering(call, effect)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        said = strace.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"strace may not attach here: {said.strip()}")
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()


def _tampering(call, effect):
    return ["-e", f"trace={call}", "-e", "signal=none", "-e", f"inject={call}:{effect}"]
