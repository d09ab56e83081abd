"""Who fills each role, and what happens where nobody does."""

import pytest


ROLES = """
    import broker
    from broker import hookimpl
    from broker.builtin.memory import MemoryStorage

    class Limiter(broker.RateLimiter):
        async def spend(self, spendings):
            return broker.Allowance(allowed=True)

    class Authenticator(broker.Authenticator):
        async def authenticate(self, credentials):
            return None

    class Authorizer(broker.Authorizer):
        def permits(self, identity, action, queue):
            return True

    @hookimpl
    def provide_storage(plugin):
        return MemoryStorage()

    @hookimpl
    def provide_rate_limiter(plugin):
        return Limiter()

    @hookimpl
    def provide_authenticator(plugin):
        return Authenticator()

    @hookimpl
    def provide_authorizer(plugin):
        return Authorizer()
"""

NEEDING = """
    import broker

    class Needing(broker.Transport):
        requires = frozenset({{"{capability}"}})

    @broker.hookimpl
    def provide_transport(plugin, broker):
        return Needing()
"""


def roles(findings):
    return {f.subject: f.text for f in findings}


def test_whoever_fills_a_role_is_named(install, configure, doctor):
    install("acme", ROLES)
    configure("acme")

    assert roles(doctor("role")) == {
        "storage": "acme",
        "rate limiter": "acme",
        "authenticators": "acme, then everybody as anonymous",
        "authorizer": "acme",
        "interceptors": "none",
        "observers": "log",
        "lifespans": "none",
        "transports": "rest, openapi",
    }


def test_where_nobody_does_it_is_told_what_happens(configure, doctor):
    configure("memory")

    told = roles(doctor("role"))

    assert told["rate limiter"] == "nobody: nothing is limited"
    assert told["authenticators"] == "nobody: everybody is let in, and may do everything"
    assert told["authorizer"] == "scopes: the scopes of identities decide"


def test_messages_in_memory_are_warned_of_unless_they_are_meant(configure, doctor):
    configure()

    assert doctor() == [
        (
            "warning",
            "no-storage",
            "storage",
            "no plugin that works provides one: messages are gone when the broker stops",
        )
    ]


def test_that_nobody_can_be_let_in_is_warned_of(folder, doctor):
    (folder / "broker.toml").write_text('[broker]\nplugins = ["memory"]')

    assert doctor() == [
        (
            "warning",
            "no-authenticator",
            "authenticators",
            "no plugin that works, and broker.anonymous is false: every request is answered 401",
        )
    ]


def test_two_storages_without_a_choice_are_an_error(install, configure, doctor):
    install("acme", ROLES)
    configure("memory", "acme")

    [conflict, unopened] = doctor()

    assert conflict[:3] == ("error", "assembly", "broker")
    assert 'plugins "memory", "acme" each provide the storage' in conflict.text
    assert unopened.text == "nothing was opened, because the plugins do not fit together"


def test_capabilities_are_told_with_who_needs_them(install, configure, doctor):
    install("needing", NEEDING.format(capability="groups"))
    configure("memory", "needing")

    declared, needed = doctor("capabilities")

    assert declared.subject == "memory"
    assert '"groups"' in declared.text
    assert needed == ("ok", "capabilities", "needing", 'needs "groups", which memory declares')


def test_a_capability_that_the_storage_lacks_is_an_error_and_the_rest_is_tried(
    install, configure, doctor
):
    install("needing", NEEDING.format(capability="durable"))
    configure("memory", "needing")

    [(level, check, subject, text)] = doctor()

    assert (level, check, subject) == ("error", "assembly", "needing")
    assert 'needs a storage with the capability "durable"' in text
    assert "rest" in [f.subject for f in doctor("provider")]


@pytest.mark.parametrize("capabilities", ["5", "['groups']", "{1: 2}"])
def test_capabilities_of_a_wrong_type_break_nothing_else(install, configure, doctor, capabilities):
    install(
        "acme",
        f"""
        import broker
        from broker.builtin.memory import MemoryStorage

        class Odd(MemoryStorage):
            capabilities = {capabilities}

        @broker.hookimpl
        def provide_storage(plugin):
            return Odd()
        """,
    )
    install("needing", NEEDING.format(capability="groups"))
    configure("acme", "needing")

    assert "error" in {f.level for f in doctor()}


def test_the_plugin_that_was_chosen_may_be_the_broken_one(install, configure, doctor):
    install("acme", "1 / 0")
    configure("acme", broker='storage = "acme"', tables="[plugins.acme]\nx = 1")

    assert [f.check for f in doctor()] == ["import", "no-storage"]
