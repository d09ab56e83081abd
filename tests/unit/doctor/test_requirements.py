"""What the distributions of enabled plugins require, and what they get."""

from importlib.metadata import version

import pytest

import broker
from broker.doctor import examine

PLUGIN = "import broker\n@broker.hookimpl\ndef provide_observer(): ...\n"


@pytest.fixture
def requiring(site, configure):
    """Install and enable the plugin `acme`, whose distribution requires these."""

    def requiring(*requirements, enabled=True):
        lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
        site.describe(
            "acme_x-1.0",
            metadata=f"Metadata-Version: 2.1\nName: acme-x\nVersion: 1.0\n{lines}",
            entry_points="[broker.plugins]\nacme = acme_x\n",
        )
        (site.directory / "acme_x.py").write_text(PLUGIN)
        configure("memory", *(["acme"] if enabled else []))

    return requiring


@pytest.mark.parametrize(
    "requirement",
    [
        "replika-broker",
        f"Replika_Broker=={broker.__version__}",
        "click>=8",
        "not-there>=5; extra == 'redis'",
        "not-there>=5; python_version < '3'",
        "replika-broker[granian]>=0.0.1",
    ],
)
def test_what_is_there_is_no_problem(requiring, doctor, requirement):
    requiring(requirement)

    assert doctor() == []
    [(level, _, _, text)] = doctor("requirement")
    assert (level, text) == ("ok", "all that 2 distributions require is installed")


@pytest.mark.parametrize(
    ("requirement", "check", "told"),
    [
        (
            "replika-broker>=99",
            "core-version",
            f"it requires replika-broker>=99; {broker.__version__} is installed",
        ),
        (
            "click<1,>=0.5",
            "requirement",
            f"it requires click<1,>=0.5; {version('click')} is installed",
        ),
        ("not-there~=5.0", "requirement", "it requires not-there~=5.0, which is not installed"),
    ],
)
def test_what_does_not_fit_is_a_warning(requiring, doctor, requirement, check, told):
    requiring(requirement)

    assert doctor() == [("warning", check, "acme-x", told)]


def test_a_plugin_for_another_core_is_brought_up_to_date_with_it(requiring):
    requiring("replika-broker>=99")

    [finding] = [found for found in examine(None, seconds=60) if found.check == "core-version"]

    assert finding.remedy.endswith(": pip install --upgrade replika-broker acme-x")


def test_a_requirement_that_cannot_be_read_is_a_warning(requiring, doctor):
    requiring("click >=")

    [(level, check, subject, text)] = doctor()

    assert (level, check, subject) == ("warning", "requirement", "acme-x")
    assert text.startswith("what it requires cannot be read: ")


def test_what_is_not_enabled_may_require_what_it_likes(requiring, doctor):
    requiring("replika-broker>=99", enabled=False)

    assert doctor() == []
