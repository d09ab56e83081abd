"""Row J2 of the attack table: a secret that can be guessed does not start a broker."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.cli import cli
from broker_auth_jwt.weak_secrets import weakness_of

GOOD = "u2Jw0dTzq9Rk4mXv7CbN1sLhPf6EoY8g"

EXAMPLES = [
    "!!_CHANGE_ME_IN_PRODUCTION_TO_A_LONG_RANDOM_VALUE",
    "!!_CHANGE_ME_!!" * 5,
    "please-change-me-to-something-really-secret",
    "changethisbeforeyougoliveohpleasedo-0123",
    "your-256-bit-secret-your-256-bit-secret-",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "super-secret-key-for-the-message-broker",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "django-insecure-x9$k2l!q8w7e6r5t4y3u2i1o0p",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "12345678901234567890123456789012",
    "PasswordPasswordPasswordPassw0rd!",
]


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_j2_a_secret_is_as_long_as_the_hash(algorithm: str, least: int) -> None:
    secret = (GOOD + GOOD[::-1])[: least - 1]
    assert weakness_of(secret, algorithm) == (
        f"has {least - 1} bytes, and {algorithm} needs at least {least};"
        f" make one: openssl rand -hex {least}"
    )
    assert weakness_of(secret + "!", algorithm) is None


def test_j2_it_is_bytes_that_count() -> None:
    assert weakness_of("äöüÄÖÜßéèêàâîôûç", "HS256") is None
    assert weakness_of("äöüÄÖÜßéèêàâîôû", "HS256") is not None


@pytest.mark.parametrize("secret", EXAMPLES)
def test_j2_an_example_is_no_secret(secret: str) -> None:
    weakness = weakness_of(secret, "HS256")
    assert weakness == (
        "is an example or a default, which everybody knows; make one: openssl rand -hex 32"
    )


@pytest.mark.parametrize(
    "secret",
    [
        "a" * 32,
        "a" * 64,
        "ab" * 16,
        "0123abcd" * 4,
        GOOD[:16] * 2,
        GOOD[:13] * 3,
        (GOOD[:12] * 4)[:40],
        "a" * 40 + "b",
        "aabbccddeeffgg" + "a" * 20,
        "\0" * 32,
        " " * 32,
    ],
)
def test_j2_what_repeats_itself_is_no_secret(secret: str) -> None:
    weakness = weakness_of(secret, "HS256")
    assert weakness == "repeats itself, so it is easy to guess; make one: openssl rand -hex 32"


def test_j2_a_key_of_another_kind_is_no_secret() -> None:
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    jwk = '{"kty":"oct","k":"u2Jw0dTzq9Rk4mXv7CbN1sLhPf6EoY8g"}'
    for secret in (pem, ssh, jwk):
        assert weakness_of(secret, "HS256") == (
            "is a key or a certificate of another kind (PEM, SSH, DER, JWK);"
            " make one: openssl rand -hex 32"
        )


def test_random_secrets_are_not_weak() -> None:
    random = Random(4)
    for algorithm, least in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        for _ in range(2000):
            key = random.randbytes(least)
            assert weakness_of(key.hex(), algorithm) is None
            assert weakness_of(b64encode(key).decode(), algorithm) is None


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command of the broker with these lines in the plugin's table."""
    config = tmp_path / "broker.toml"
    config.touch(0o600)

    def run(*command: str, lines: str) -> Result:
        config.write_text(f'[broker]\nplugins = ["auth_jwt"]\n[plugins.auth_jwt]\n{lines}\n')
        return CliRunner().invoke(cli, [*command, "--config", str(config)])

    return run


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            'secret = "short"',
            "secret: has 5 bytes, and HS256 needs at least 32; make one: openssl rand -hex 32",
        ),
        (
            f'algorithm = "HS512"\nsecret = "{GOOD}"',
            "secret: has 32 bytes, and HS512 needs at least 64; make one: openssl rand -hex 64",
        ),
        (
            f'secret = "{EXAMPLES[0]}"',
            "secret: is an example or a default, which everybody knows;"
            " make one: openssl rand -hex 32",
        ),
        (
            f'secret = "{GOOD}"\nprevious_secrets = ["{"x" * 32}"]',
            "previous_secrets[0]: repeats itself, so it is easy to guess;"
            " make one: openssl rand -hex 32",
        ),
        (
            f'algorithm = "ES256"\nsecret = "{GOOD}"',
            "secret: is for HS256, HS384 and HS512; the keys of ES256 are in the file `keys`,"
            " so leave this out",
        ),
        (
            f'previous_secrets = ["{GOOD}"]',
            "previous_secrets: there is no `secret` that came after them; set it, or leave these"
            " out",
        ),
    ],
)
def test_j2_a_broker_with_a_weak_secret_ends_with_78_and_says_what_to_do(
    run: Run, lines: str, problem: str
) -> None:
    done = run("serve", lines=lines)
    assert done.exit_code == 78
    [line] = done.stderr.splitlines()
    assert f"broker.toml: plugins.auth_jwt.{problem}; got " in line
    assert line.count("********") == 1
    for secret in (GOOD, EXAMPLES[0], "short", "x" * 32):
        assert secret not in line


def test_a_good_secret_is_taken(run: Run) -> None:
    lines = f'secret = "{GOOD}"\nprevious_secrets = ["{GOOD[::-1]}"]'
    assert run("config", "check", lines=lines).exit_code == 0


def test_a_secret_of_the_environment_is_judged_too(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER__PLUGINS__AUTH_JWT__SECRET", "changeme" * 4)
    done = run("serve", lines="")
    assert done.exit_code == 78
    assert "is an example or a default" in done.stderr
    assert "changeme" not in done.stderr
