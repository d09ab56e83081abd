"""The rules for alerts, as Prometheus evaluates them, and the one for old backlogs without it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"


def rules():
    """All rules by their names."""
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def promtool(*arguments, cwd=None):
    """Have Prometheus' own tool check something where it is installed."""
    command = shutil.which("promtool")
    if command is None:
        pytest.skip("promtool, of Prometheus, is not installed (Debian: prometheus)")
    done = subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def series(name, labels):
    """A series as promtool writes it."""
    text = ", ".join(f"{key}={json.dumps(text)}" for key, text in labels.items())
    return f"{name}{{{text}}}"


def check_alerts(directory, values, expected):
    """Have Prometheus evaluate the rules once a minute over the values of series: `expected` are
    the alerts of a rule that fire at a minute, each with its labels and its summary."""
    tests = [
        {
            "eval_time": f"{minute}m",
            "alertname": name,
            "exp_alerts": [
                {
                    "exp_labels": {**labels, "severity": rules()[name]["labels"]["severity"]},
                    "exp_annotations": {**rules()[name]["annotations"], "summary": summary},
                }
                for labels, summary in alerts
            ],
        }
        for minute, name, alerts in expected
    ]
    inputs = [{"series": series, "values": text} for series, text in values.items()]
    document = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": tests}],
    }
    (directory / "tests.yml").write_text(json.dumps(document))
    promtool("test", "rules", "tests.yml", cwd=directory)


class Recorder:
    """Scrapes once a minute, as Prometheus would, and keeps what it got."""

    def __init__(self, scrape, clock):
        self.scrapes = []
        self._scrape = scrape
        self._clock = clock

    async def minutes(self, count):
        for _ in range(count):
            self.scrapes.append(await self._scrape())
            self._clock.advance(59)

    def values(self):
        """The values of all series as promtool writes them."""
        found = {}
        for minute, samples in enumerate(self.scrapes):
            for name, labels, value in samples:
                values = found.setdefault(series(name, labels), ["_"] * len(self.scrapes))
                values[minute] = repr(value)
        return {series: " ".join(values) for series, values in found.items()}

    def firing(self, name):
        """By minute, the queues for which an alert fires, without Prometheus."""
        rule = rules()[name]
        patience = int(re.fullmatch(r"(\d+)m", rule["for"])[1])
        found = [holds(rule["expr"], samples) for samples in self.scrapes]
        return [
            set.intersection(*found[minute - patience : minute + 1])
            if minute >= patience
            else set()
            for minute in range(len(found))
        ]


def holds(expression, samples):
    """The queues for which an expression of the form `a > 1 unless on (…) b == 1 …` holds."""
    first, *others = re.split(r" unless on \(job, instance, queue\) ", expression)
    return _holds(first, samples).difference(*(_holds(other, samples) for other in others))


def _holds(comparison, samples):
    name, sign, bound = re.fullmatch(r"(\w+) (>|==) (\d+)", comparison).groups()
    return {
        labels["queue"]
        for found, labels, value in samples
        if found == name and (value > float(bound) if sign == ">" else value == float(bound))
    }
