"""All that plugins provide is opened, asked and closed, whatever one of them does."""

import socket

import pytest

from broker.builtin.memory import MemoryStorage


OBSERVER = """
    import asyncio, errno, logging, os, time
    import broker
    from broker import hookimpl

    class Hurt(broker.Observer):
        def notify(self, events):
            pass

        async def {step}(self):
            {does}

    @hookimpl
    def provide_observer(plugin):
        return Hurt()
"""

WITNESS = """
    from contextlib import asynccontextmanager
    import broker
    from broker import hookimpl

    class Witness(broker.Observer, broker.Transport):
        def notify(self, events):
            pass

        async def open(self):
            print("opened")

    @hookimpl
    def provide_observer(plugin):
        return Witness()

    @hookimpl
    def provide_transport(plugin, broker):
        return Witness()

    @hookimpl
    @asynccontextmanager
    async def provide_lifespan():
        print("entered")
        yield
        print("left")
"""


def opened(findings):
    return [(f.subject, f.text.partition(":")[0]) for f in findings if f.check == "provider"]


def test_everything_is_opened_in_the_order_of_serving(install, configure, doctor, capsys):
    install("witness", WITNESS)
    configure("memory", "witness")

    assert opened(doctor("provider")) == [
        ("memory", "MemoryStorage"),
        ("scopes", "ScopeAuthorizer"),
        ("witness", "Witness"),
        ("log", "LogObserver"),
        ("witness", "its lifespan"),
        ("witness", "Witness"),
        ("rest", "RestTransport"),
        ("openapi", "DocumentTransport"),
    ]
    assert capsys.readouterr().out.split() == ["opened", "entered", "opened", "left"]


@pytest.mark.parametrize("step", ["open", "ping", "close"])
@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("1 / 0", "Hurt.{step} failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "Hurt.{step} failed: SystemExit: 3"),
        ("raise asyncio.CancelledError", "Hurt.{step} failed: CancelledError"),
        (
            "raise BaseException('no\\n\\x1b[31m')",
            "Hurt.{step} failed: BaseException: no \\u001b[31m",
        ),
        ("raise broker.ConfigError('acme: no')", "acme: no"),
        ("raise TimeoutError('of its own')", "Hurt.{step} failed: TimeoutError: of its own"),
    ],
)
def test_what_one_raises_keeps_nobody_from_being_tried(
    install, configure, doctor, step, does, told
):
    install("hurt", OBSERVER.format(step=step, does=does.replace("\x1b", "\\x1b")))
    install("witness", WITNESS)
    configure("memory", "hurt", "witness")

    level = "warning" if step == "close" else "error"
    assert doctor() == [(level, f"provider-{step}", "hurt", told.format(step=step))]
    assert ("witness", "its lifespan") in opened(doctor("provider"))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("open", "Hurt was not opened within 0.05 s"),
        ("ping", "Hurt did not answer within 0.05 s"),
        ("close", "Hurt was not closed within 0.05 s"),
    ],
)
@pytest.mark.parametrize(
    "hangs",
    [
        "await asyncio.Event().wait()",
        # It blocks the loop, so nothing but a signal ends it.
        "[None for _ in iter(int, 1)]",
        "time.sleep(3600)",
    ],
)
def test_what_hangs_is_given_up(install, configure, doctor, monkeypatch, step, text, hangs):
    monkeypatch.setattr("broker.doctor.part.GRACE_SECONDS", 0.05)
    install("hurt", OBSERVER.format(step=step, does=hangs))
    configure("memory", "hurt")

    findings = doctor(f"provider-{step}", seconds=0.05)

    assert [(f.subject, f.text) for f in findings] == [("hurt", text)]


def test_a_task_that_wants_the_process_to_exit_does_not(install, configure, doctor):
    install(
        "hurt",
        OBSERVER.format(
            step="open",
            does="""
            async def leave():
                raise SystemExit(3)
            self.leaving = asyncio.create_task(leave())
            await asyncio.sleep(0)
""",
        ),
    )
    configure("memory", "hurt")

    assert ("hurt", "Hurt") in opened(doctor("provider"))


def test_who_may_take_long_to_open_is_only_warned_of(install, configure, doctor):
    install(
        "hurt",
        OBSERVER.format(step="open", does="await asyncio.Event().wait()")
        + """
    Hurt.open_has_deadline = False
""",
    )
    configure("memory", "hurt")

    assert doctor("provider-open", seconds=0.05) == [
        ("warning", "provider-open", "hurt", "Hurt was not opened within 0.05 s")
    ]


def test_what_is_warned_of_in_the_log_is_told(install, configure, doctor):
    says = 'logging.getLogger("broker.plugins.hurt").warning("half of it is %s", "away")'
    install("hurt", OBSERVER.format(step="ping", does=says))
    configure("memory", "hurt")

    assert doctor() == [("warning", "provider-log", "hurt", "half of it is away")]


def test_what_needs_a_locked_storage_is_not_opened(install, configure, doctor):
    install(
        "taken",
        """
        import broker
        from broker.builtin.memory import MemoryStorage

        class Taken(MemoryStorage):
            async def open(self):
                raise broker.StorageLocked("acme.db is locked; stop who has it")

        @broker.hookimpl
        def provide_storage():
            return Taken()
        """,
    )
    install("witness", WITNESS)
    configure("taken", "witness")

    assert doctor() == [
        ("warning", "in-use", "taken", "acme.db is locked; stop who has it"),
        (
            "warning",
            "not-opened",
            "witness",
            "its lifespan was not opened, because Taken is not open",
        ),
        ("warning", "not-opened", "witness", "Witness was not opened, because Taken is not open"),
        (
            "warning",
            "not-opened",
            "rest",
            "RestTransport was not opened, because Taken is not open",
        ),
        (
            "warning",
            "not-opened",
            "openapi",
            "DocumentTransport was not opened, because Taken is not open",
        ),
    ]


def test_what_follows_in_the_same_plugin_is_not_opened(install, configure, doctor):
    install("witness", WITNESS.replace('print("opened")', "1 / 0"))
    configure("memory", "witness")

    assert [(f.check, f.text) for f in doctor()] == [
        ("provider-open", "Witness.open failed: ZeroDivisionError: division by zero"),
        ("not-opened", "its lifespan was not opened, because Witness is not open"),
        ("not-opened", "Witness was not opened, because Witness is not open"),
    ]


def test_a_listener_whose_port_a_broker_has_is_only_warned_of(install, configure, doctor):
    install(
        "tcp",
        """
        import asyncio, os
        import broker

        class Tcp(broker.Transport):
            async def open(self):
                self.server = await asyncio.start_server(
                    lambda reader, writer: None, "127.0.0.1", int(os.environ["TCP_PORT"])
                )

            async def close(self):
                self.server.close()

        @broker.hookimpl
        def provide_transport(plugin):
            return Tcp()
        """,
    )
    configure("memory", "tcp")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCP_PORT", str(taken.getsockname()[1]))
        findings = doctor("in-use")

    assert [(f.level, f.subject) for f in findings] == [("warning", "tcp")]


def test_upkeep_does_not_run(configure, doctor, monkeypatch):
    kept = []

    async def maintain(self, **_):
        kept.append(self)

    monkeypatch.setattr(MemoryStorage, "maintain", maintain)
    configure("memory")

    assert doctor() == []
    assert kept == []


def test_a_data_directory_that_cannot_be_made_is_an_error(configure, doctor, folder):
    (folder / "file").touch()
    configure("memory", broker='data_dir = "file/data"')

    [(level, check, subject, text)] = doctor()

    assert (level, check, subject) == ("error", "provider-open", "broker.data_dir")
    assert text.startswith("broker.data_dir: cannot make ")
