"""What the author of a contract's class does wrong is told as what it is."""

import pytest

from broker import Authenticator, Credentials, Identity
from broker.testing import (
    AuthenticatorContract,
    AuthorizerContract,
    InterceptorContract,
    ObserverContract,
    OrderedStoreContract,
    RateLimiterContract,
    StorageContract,
    TransportContract,
)
from broker.testing.authenticator.bench import STRANGE
from broker.testing.contract import made


class Sure(Authenticator):
    async def authenticate(self, credentials):
        return Identity(subject="ann", peer=credentials.peer)


class Samples(AuthenticatorContract):
    """An author's class as it should be."""

    def make_authenticator(self, tmp_path, clock):
        return Sure()

    async def valid(self, authenticator):
        return Credentials(scheme="bearer", token="good")

    async def bad(self, authenticator):
        return {"unknown": Credentials(scheme="bearer", token="bad")}


def none(*arguments):
    pass


async def later(*arguments):
    return Sure()


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        (none, "none returned None; expected an instance of Authenticator"),
        (lambda: Sure, "<lambda> returned the class Sure; expected an instance of Authenticator"),
        (lambda: "x", "<lambda> returned str; expected an instance of Authenticator"),
        (later, "later must not be async def"),
    ],
)
def test_what_a_factory_returns_by_mistake_is_told(factory, problem):
    with pytest.raises(pytest.fail.Exception) as failed:
        made(Authenticator, factory)

    assert str(failed.value) == problem


@pytest.mark.parametrize(
    ("contract", "factory"),
    [
        (AuthenticatorContract, "make_authenticator"),
        (AuthorizerContract, "make_authorizer"),
        (InterceptorContract, "make_interceptor"),
        (ObserverContract, "make_observer"),
        (OrderedStoreContract, "make_store"),
        (RateLimiterContract, "make_rate_limiter"),
        (StorageContract, "make_storage"),
        (TransportContract, "make_transport"),
    ],
)
def test_every_contract_tells_of_its_factory(tmp_path, contract, factory):
    def forgets(*arguments):
        pass

    forgets.__name__ = factory
    methods = {**dict.fromkeys(contract.__abstractmethods__, none), factory: forgets}
    acme = type("Acme", (contract,), methods)()

    with pytest.raises(BaseException, match=f"{factory} returned None; expected an instance"):
        acme.subject(acme.make_bench(tmp_path))


def test_samples_that_are_not_async_are_told(tmp_path):
    class NotAsync(Samples):
        def valid(self, authenticator):
            return STRANGE[0]

    with pytest.raises(pytest.fail.Exception, match="^valid must be async def$"):
        NotAsync().test_valid_credentials_are_somebodys(tmp_path)


def test_a_sample_that_is_none_is_told(tmp_path):
    class Forgetful(Samples):
        async def valid(self, authenticator):
            pass

    with pytest.raises(pytest.fail.Exception, match="^None is no sample: neither Credentials nor"):
        Forgetful().test_valid_credentials_are_somebodys(tmp_path)


def test_what_was_taken_of_a_token_is_told(tmp_path):
    with pytest.raises(AssertionError, match="^no token was taken"):
        Samples().test_a_piece_of_a_token_is_not_enough(tmp_path)
