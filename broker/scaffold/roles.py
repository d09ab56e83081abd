"""The roles that a plugin can be begun for, and what its README says of each."""

from __future__ import annotations

import msgspec


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What the files that all roles share say of one."""

    base: str
    """The class of `broker` that its provider derives from; the contract is named after it."""
    summary: str
    """What the plugin does, as it is written."""
    table: str = ""
    """An example of what its config holds, in TOML, where the defaults alone do nothing."""
    use: str
    """What whoever enabled it sees of it; `$words` are filled in here and above."""
    options: str
    """The rows of the table of its config."""


ROLES = {
    "storage": Role(
        base="Storage",
        summary="Keeps queues and messages in a file.",
        use="Messages are in `queues.db` then, and are there after a restart.",
        options="""\
| `path` | `"queues.db"` | The file; a relative path starts at the data directory. |""",
    ),
    "authenticator": Role(
        base="Authenticator",
        summary="Recognises clients by a key of their own.",
        table="""
[plugins.$plugin.keys]
robot = { env = "ROBOT_KEY" }
""",
        use="Whoever sends `Authorization: $plugin robot:<the key>` is `robot` then.",
        options="""\
| `keys` | `{}` | The key of each client, by its name. |
| `scopes` | `["publish:*", "consume:*"]` | What each client may do. |""",
    ),
    "authorizer": Role(
        base="Authorizer",
        summary="Gives everybody the queues that begin with their name.",
        table="""
[plugins.$plugin]
admins = ["ann"]
""",
        use="`ann` may do everything then, and `robot` whatever it likes with `robot.tasks`.",
        options="""\
| `admins` | `[]` | Who may do everything, by name. |""",
    ),
    "rate-limiter": Role(
        base="RateLimiter",
        summary="Lets each client spend so much in a window of time.",
        use="Whoever has spent everything gets 429 then, and is told when to come again.",
        options="""\
| `limit` | `1000` | How much a client may spend in a window. |
| `window_seconds` | `60` | How long a window is. |""",
    ),
    "interceptor": Role(
        base="Interceptor",
        summary="Lets nobody publish messages of an unexpected content type.",
        use="Messages of other types are answered 422 then, and are not stored.",
        options="""\
| `content_types` | `["application/json"]` | Of which types messages may be. |""",
    ),
    "observer": Role(
        base="Observer",
        summary="Writes what happens to a file, a line of JSON each.",
        use="`tail -f events.jsonl` shows then what happens in the broker.",
        options="""\
| `path` | `"events.jsonl"` | The file; a relative path starts at the data directory. |""",
    ),
    "transport": Role(
        base="Transport",
        summary="Takes and gives messages as plain text.",
        use="`curl localhost:8777/text/tasks -d tea` publishes to the queue `tasks` then.",
        options="""\
| `path` | `"/text"` | Where its routes begin. |""",
    ),
}
"""By name, as `--role` takes it."""
