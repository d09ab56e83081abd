"""The rules for alerts: each fires when it should, and not before."""

from collections import namedtuple
from functools import partial

import pytest
from alerting import ALERTS, DEPLOY, Recorder, check_alerts, promtool, rules
from scraped import scrape

ROOT = DEPLOY.parent
B = 'job="replika-broker", instance="b:1"'
HERE = {"job": "replika-broker", "instance": "b:1"}

Case = namedtuple("Case", "values quiet fires alert")
"""The values of series by the minute, minutes at which a rule does not fire and does, and the labels
and the summary with which it does."""


def buckets(name, *below, all_of_them):
    """A histogram of which so many values a minute are within each bound."""
    counts = [*below, ("+Inf", all_of_them)]
    return {f'{name}_bucket{{{B}, le="{bound}"}}': f"0+{n}x30" for bound, n in counts}


def answers(status, route, text):
    labels = f'{B}, method="POST", route="{route}", status="{status}"'
    return {f"broker_http_requests_total{{{labels}}}": text}


CASES = {
    "BrokerDown": Case(
        {f"up{{{B}}}": "1 1 0x9", 'up{job="another", instance="c:1"}': "0x9"},
        quiet=(1, 2),
        fires=(3, 9),
        alert=(HERE, "The broker b:1 cannot be scraped"),
    ),
    "BrokerMissing": Case(
        {f"up{{{B}}}": "1 1 stale", 'up{job="another", instance="c:1"}': "1x20"},
        quiet=(1, 6),
        fires=(7, 20),
        alert=({"job": "replika-broker"}, "Prometheus knows of no broker"),
    ),
    "BrokerNotReady": Case(
        {f"broker_ready{{{B}}}": "1 1 0x9"},
        quiet=(1, 3),
        fires=(4, 9),
        alert=(HERE, "The broker b:1 is not ready"),
    ),
    "BrokerBacklogOld": Case(
        {
            f'broker_queue_oldest_message_age_seconds{{{B}, queue="orders"}}': "300x3 301x20",
            f'broker_queue_oldest_message_age_seconds{{{B}, queue="dead"}}': "301x20",
            f'broker_queue_oldest_message_age_seconds{{{B}, queue="paused"}}': "301x20",
            f'broker_queue_is_dead_letter_target{{{B}, queue="dead"}}': "1x20",
            f'broker_queue_is_dead_letter_target{{{B}, queue="orders"}}': "0x20",
            f'broker_queue_paused{{{B}, queue="paused"}}': "1x20",
            f'broker_queue_paused{{{B}, queue="orders"}}': "0x20",
        },
        quiet=(3, 8),
        fires=(9, 20),
        alert=(HERE | {"queue": "orders"}, "Messages of orders on b:1 have waited for 5m 1s"),
    ),
    "BrokerQueuePaused": Case(
        {
            f'broker_queue_messages_ready{{{B}, queue="orders"}}': "0 0 3x90",
            f'broker_queue_messages_ready{{{B}, queue="mail"}}': "3x90",
            f'broker_queue_paused{{{B}, queue="orders"}}': "1x90",
            f'broker_queue_paused{{{B}, queue="mail"}}': "0x90",
        },
        quiet=(2, 61),
        fires=(62, 80),
        alert=(HERE | {"queue": "orders"}, "3 messages wait in orders on b:1, which is paused"),
    ),
    "BrokerDeadLetters": Case(
        {f'broker_messages_dead_lettered_total{{{B}, queue="_other"}}': "0x3 1x30"},
        quiet=(3, 20),
        fires=(4, 18),
        alert=(HERE | {"queue": "_other"}, "Messages of _other on b:1 became dead letters"),
    ),
    "BrokerDeadLettersWait": Case(
        {f'broker_queue_messages_dead{{{B}, queue="dead"}}': "0 2x90"},
        quiet=(0, 60),
        fires=(61, 90),
        alert=(HERE | {"queue": "dead"}, "2 dead letters wait in dead on b:1"),
    ),
    "BrokerMessagesFailed": Case(
        {f'broker_queue_messages_failed{{{B}, queue="mail"}}': "0 1x9"},
        quiet=(0,),
        fires=(1, 9),
        alert=(HERE | {"queue": "mail"}, "1 messages of mail on b:1 have failed"),
    ),
    "BrokerDiskLow": Case(
        {f"broker_storage_free_bytes{{{B}}}": "1073741824 1073741823x9"},
        quiet=(0, 5),
        fires=(6, 9),
        alert=(HERE, "The disk of b:1 has 1024MiB left"),
    ),
    "BrokerDiskFull": Case(
        {f"broker_storage_free_bytes{{{B}}}": "67108864 67108863x9"},
        quiet=(0,),
        fires=(1, 9),
        alert=(HERE, "The disk of b:1 is as good as full"),
    ),
    "BrokerWalLarge": Case(
        {f"broker_storage_wal_bytes{{{B}}}": "268435456 300000000x20"},
        quiet=(0, 10),
        fires=(11, 20),
        alert=(HERE, "The write-ahead log of b:1 has grown to 286.1MiB"),
    ),
    "BrokerCommitsSlow": Case(
        buckets("broker_storage_commit_seconds", (0.5, 98), (1, 100), all_of_them=100),
        quiet=(0, 5),
        fires=(6, 20),
        alert=(HERE, "One in a hundred commits of b:1 takes longer than 750ms"),
    ),
    "BrokerErrors": Case(
        # The first answer of a kind comes with the series that counts it.
        answers(500, "/queues", "_x2 10+10x20") | answers(201, "/queues", "0+50x20"),
        quiet=(1, 6),
        fires=(7, 20),
        alert=(
            HERE,
            "b:1 answers more than one in twenty requests with errors: 50 in five minutes",
        ),
    ),
    "BrokerPluginFails": Case(
        {f'broker_plugin_failures_total{{{B}, plugin="acme", step="observe"}}': "_x2 1x30"},
        quiet=(1, 12),
        fires=(2, 11),
        alert=(
            HERE | {"plugin": "acme", "step": "observe"},
            "The plugin acme of b:1 fails: observe",
        ),
    ),
    "BrokerUpkeepFails": Case(
        {f"broker_maintenance_failures_total{{{B}}}": "0x3 1x20"},
        quiet=(3, 15),
        fires=(4, 13),
        alert=(HERE, "The storage of b:1 fails at its upkeep"),
    ),
    "BrokerStreamsEvicted": Case(
        {f"broker_sse_evicted_total{{{B}}}": "0x3 5 5 5 30x20"},
        quiet=(3, 6),
        fires=(7, 20),
        alert=(HERE, "Clients of b:1 take events too slowly"),
    ),
    "BrokerLoopLate": Case(
        buckets("broker_event_loop_lag_seconds", (0.25, 80), (0.5, 100), all_of_them=120),
        quiet=(0, 5),
        fires=(6, 20),
        alert=(HERE, "Everybody waits for b:1: its event loop is up to 500ms late"),
    ),
    "BrokerFilesShort": Case(
        {
            f"process_open_fds{{{B}}}": "819 820x9",
            f"process_max_fds{{{B}}}": "1024x9",
            f"broker_build_info{{{B}}}": "1x9",
            'process_open_fds{job="another", instance="c:1"}': "1024x9",
            'process_max_fds{job="another", instance="c:1"}': "1024x9",
        },
        quiet=(0, 5),
        fires=(6, 9),
        alert=(HERE, "b:1 has 80.08% of the files open that it may"),
    ),
    "BrokerMemoryHigh": Case(
        {
            f"process_resident_memory_bytes{{{B}}}": "1073741824 2147483648x20",
            f"broker_build_info{{{B}}}": "1x20",
            'process_resident_memory_bytes{job="another", instance="c:1"}': "2147483648x20",
        },
        quiet=(0, 15),
        fires=(16, 20),
        alert=(HERE, "b:1 holds 2GiB of memory"),
    ),
    "BrokerLogLinesDropped": Case(
        {f'broker_log_lines_dropped_total{{{B}, to="stderr"}}': "0x3 7x30"},
        quiet=(3, 20),
        fires=(4, 18),
        alert=(HERE | {"to": "stderr"}, "b:1 drops lines of its log: stderr"),
    ),
    "BrokerSpansLost": Case(
        {f"broker_spans_lost_total{{{B}}}": "0x3 7x30"},
        quiet=(3, 20),
        fires=(4, 18),
        alert=(HERE, "b:1 loses spans"),
    ),
}


def test_there_is_a_case_of_every_rule():
    assert [*CASES] == [*rules()]


@pytest.mark.parametrize("name", CASES)
def test_it_fires_when_it_should(name, tmp_path):
    case = CASES[name]

    check_alerts(
        tmp_path,
        case.values,
        [
            *((minute, name, []) for minute in case.quiet),
            *((minute, name, [case.alert]) for minute in case.fires),
        ],
    )


@pytest.mark.parametrize(
    "values",
    [
        # Probes of a broker that drains are answered by 503, again and again.
        answers(503, "/readyz", "0+100x20") | answers(201, "/queues", "0+9x20"),
        # One client that asks once a minute, and is answered by 503, is nobody's emergency.
        answers(503, "/queues", "0+1x20"),
        # Some errors are always there.
        answers(500, "/queues", "0+10x20") | answers(201, "/queues", "0+500x20"),
    ],
)
def test_errors_of_probes_and_a_few_are_no_alert(values, tmp_path):
    check_alerts(tmp_path, values, [(minute, "BrokerErrors", []) for minute in range(21)])


def test_every_rule_leads_to_a_section_of_the_docs():
    page = (ROOT / "docs" / "operations.md").read_text()
    for name, rule in rules().items():
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert page.count(f"\n### {name}\n") == 1
    headings = page.partition("\n## Alerts\n")[2].partition("\n## ")[0].count("\n### ")
    assert headings == len(rules())


def test_every_alert_of_an_instance_names_it():
    for name, rule in rules().items():
        is_named = "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert is_named == (name != "BrokerMissing")


def test_prometheus_takes_the_config_and_the_alerts(tmp_path):
    config = DEPLOY / "prometheus" / "prometheus.yml"
    promtool("check", "config", str(config))

    # And so it does if somebody uncomments what tells an Alertmanager.
    head, told, rest = config.read_text().partition("# alerting:\n")
    block, end, rest = rest.partition("\n\n")
    lines = [line.removeprefix("# ") for line in f"# alerting:\n{block}".splitlines()]
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    (tmp_path / "prometheus.yml").write_text(head + "\n".join(lines) + end + rest)
    promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert told


TOKEN = "a token of 32 bytes, or of more."


@pytest.fixture
def site(broker_factory):
    tables = {"metrics": {"token": TOKEN}}
    return broker_factory(["storage_sqlite", "metrics"], config={"plugins": tables})


@pytest.fixture
def prometheus(site, clock):
    return Recorder(partial(scrape, site, TOKEN), clock)


async def test_the_alert_for_an_old_backlog_fires_and_is_over_when_it_is_consumed(
    site, prometheus, tmp_path
):
    async with site:
        await site.create_queue("dead")
        await site.create_queue("orders", dead_letter_queue="dead")
        await site.create_queue("paused", paused=True)
        await site.create_queue("later")
        await site.publish("orders", "coffee")
        [letter] = await site.lease("orders")
        await site.settle(letter["receipt"], "reject", reason="cold")
        await prometheus.minutes(2)
        for queue in ("orders", "paused"):
            await site.publish(queue, "tea")
        await site.publish("later", "cake", delay=11 * 60)
        await prometheus.minutes(14)  # it is 300 s old in minute 7
        [leased] = await site.lease("orders")
        await site.ack(leased["receipt"])
        await prometheus.minutes(3)

    # What waits in `dead` and in `paused` is as old, and what is `later` was published as early.
    assert prometheus.firing("BrokerBacklogOld") == [
        {"orders"} if 12 <= n < 16 else set() for n in range(19)
    ]
    fires = {"queue": "orders"}, "Messages of orders on  have waited for 11m 1s"
    check_alerts(
        tmp_path,
        prometheus.values(),
        [
            (11, "BrokerBacklogOld", []),
            (13, "BrokerBacklogOld", [fires]),
            (17, "BrokerBacklogOld", []),
            (13, "BrokerMessagesFailed", []),
            (13, "BrokerNotReady", []),
        ],
    )


async def test_alerts_for_failed_messages_and_dead_letters_fire(site, prometheus, tmp_path):
    async with site:
        await site.create_queue("dead")
        await site.create_queue("orders", dead_letter_queue="dead")
        await site.create_queue("mail")
        await prometheus.minutes(5)
        for queue in ("orders", "mail"):
            await site.publish(queue, "tea")
            [leased] = await site.lease(queue)
            await site.settle(leased["receipt"], "reject", reason="bitter")
        await prometheus.minutes(70)

    failed = {"queue": "mail"}, "1 messages of mail on  have failed"
    became = {"queue": "orders"}, "Messages of orders on  became dead letters"
    wait = {"queue": "dead"}, "1 dead letters wait in dead on "
    check_alerts(
        tmp_path,
        prometheus.values(),
        [
            (4, "BrokerMessagesFailed", []),
            (4, "BrokerDeadLetters", []),
            (6, "BrokerMessagesFailed", [failed]),
            (6, "BrokerDeadLetters", [became]),
            (60, "BrokerDeadLetters", []),
            (60, "BrokerDeadLettersWait", []),
            (70, "BrokerDeadLettersWait", [wait]),
            (70, "BrokerBacklogOld", []),
        ],
    )


async def test_dead_letters_of_a_queue_that_is_new_are_noticed(site, prometheus, tmp_path):
    async with site:
        await prometheus.minutes(3)
        await site.create_queue("dead")
        await site.create_queue("orders", dead_letter_queue="dead")
        await site.publish("orders", "tea")
        [leased] = await site.lease("orders")
        await site.settle(leased["receipt"], "reject", reason="bitter")
        await prometheus.minutes(3)

    became = {"queue": "_other"}, "Messages of _other on  became dead letters"
    check_alerts(
        tmp_path,
        prometheus.values(),
        [(2, "BrokerDeadLetters", []), (4, "BrokerDeadLetters", [became])],
    )


async def test_the_alerts_for_a_broker_that_is_not_ready_and_a_plugin_that_fails_fire(
    site, prometheus, tmp_path
):
    async with site:
        await prometheus.minutes(2)
        site.broker.failures.count("acme", "observe")
        site.broker.retire()
        await prometheus.minutes(4)

    not_ready = {}, "The broker  is not ready"
    fails = {"plugin": "acme", "step": "observe"}, "The plugin acme of  fails: observe"
    check_alerts(
        tmp_path,
        prometheus.values(),
        [
            (2, "BrokerNotReady", []),
            (4, "BrokerNotReady", [not_ready]),
            (1, "BrokerPluginFails", []),
            (2, "BrokerPluginFails", [fails]),
        ],
    )
