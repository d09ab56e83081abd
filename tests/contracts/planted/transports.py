"""Transports that let in, tell or keep what they should not."""

import asyncio
import logging

import msgspec
from contracts.transports import Drops, Tap
from quart import Blueprint
from quart import Response as QuartResponse
from quart import request as quart_request

from broker import (
    BrokerError,
    Closed,
    Draft,
    Forbidden,
    Identity,
    MessageQuery,
    RateLimited,
    QueueSpec,
    Request,
    Route,
    Unauthenticated,
    json_response,
)

ROOT = Identity(subject="root", scopes=frozenset({"admin"}))
logger = logging.getLogger("tap")


class AsksForNoCredentials(Tap):
    async def identify(self, request):
        return ROOT


class ChecksWhoAsksAfterwards(Tap):
    async def publish(self, request):
        draft = Draft(queue=request.params["queue"], body=self.read(request).encode())
        await self.broker.publish(ROOT, [draft])
        await self.identify(request)
        return json_response({}, status=201)


class TakesBadTokensForNone(Tap):
    async def identify(self, request):
        try:
            return await super().identify(request)
        except Unauthenticated:
            return await self.broker.identify(None, peer=request.peer)


class WantsNoScheme(Tap):
    """Any header that ends with a good token will do."""

    async def identify(self, request):
        token = request.headers.get("authorization", "").split(" ")[-1]
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await super().identify(msgspec.structs.replace(request, headers=headers))


class DoesNotSayWhatItWants(Tap):
    async def identify(self, request):
        try:
            return await super().identify(request)
        except Unauthenticated as error:
            error.challenge = ""
            raise


class ForgetsWhereClientsAre(Tap):
    async def identify(self, request):
        return await super().identify(msgspec.structs.replace(request, peer=""))


class ActsInItsOwnName(Tap):
    async def identify(self, request):
        await super().identify(request)
        return await self.broker.identify(None)

    async def publish(self, request):
        await Tap.identify(self, request)
        return await AsksForNoCredentials(self.broker).publish(request)


class AsksForAnotherPermission(Tap):
    async def publish(self, request):
        identity = await self.identify(request)
        self.broker.permit(identity, "read", request.params["queue"])
        draft = Draft(queue=request.params["queue"], body=self.read(request).encode())
        await self.broker.publish(msgspec.structs.replace(ROOT, peer=identity.peer), [draft])
        return json_response({}, status=201)


class TellsOfQueuesThatOneMayNotSee(Tap):
    async def look(self, request):
        identity = await self.identify(request)
        if not self.broker.permits(identity, "read", request.params["queue"]):
            raise Forbidden(f"read:{request.params['queue']}")
        return await super().look(request)


class GoesRoundTheBroker(Tap):
    """Reaches the storage by another way, and so asks neither limiter nor observers."""

    async def look(self, request):
        identity = await self.identify(request)
        self.broker.permit(identity, "read", request.params["queue"])
        query = MessageQuery(queue=request.params["queue"], limit=10)
        storage = self.broker._runtime.storage
        page = await storage.browse(query, now=self.broker.clock.now())
        return json_response([message.body.decode() for message in page.messages])


class DoesNotSayWhenToComeAgain(Tap):
    async def look(self, request):
        try:
            return await super().look(request)
        except RateLimited:
            return json_response({"error": "later"}, status=429)


class TellsWhatWentWrong(Tap):
    async def look(self, request):
        try:
            return await super().look(request)
        except BrokerError as error:
            if error.status != 500:
                raise
            logger.exception("it went wrong")
            return json_response({"error": repr(error.__cause__)}, status=500)


class TellsWhatNobodyExpected(Tap):
    async def look(self, request):
        try:
            return await super().look(request)
        except BrokerError:
            raise
        except Exception as error:
            logger.exception("it went wrong")
            return json_response({"error": repr(error)}, status=500)


class KeepsBugsToItself(Tap):
    async def look(self, request):
        try:
            return await super().look(request)
        except BrokerError:
            raise
        except Exception:
            return json_response({"error": "something"}, status=500)


class SaysThatAllIsWell(Tap):
    async def look(self, request):
        try:
            return await super().look(request)
        except BrokerError as error:
            if error.status < 500:
                raise
            return json_response([])


class PublishesWhatWasRejected(Tap):
    async def publish(self, request):
        try:
            return await super().publish(request)
        except BrokerError as error:
            if error.status == 422:
                return json_response({}, status=201)
            raise


class ChokesOnBrokenBodies(Tap):
    def read(self, request):
        return msgspec.json.decode(request.body)["say"]


class WritesTokensToTheLog(Tap):
    async def identify(self, request):
        logger.debug("asked with %s", request.headers.get("authorization"))
        return await super().identify(request)


class TellsTokensBack(Tap):
    async def look(self, request):
        response = await super().look(request)
        you = ("x-you", request.headers["authorization"])
        return msgspec.structs.replace(response, headers=(*response.headers, you))


class KeepsLeasesOfWhoIsGone(Tap):
    async def lease(self, request):
        return msgspec.structs.replace(await super().lease(request), undelivered=None)


class LeasesToWhoLooks(Tap):
    async def look(self, request):
        await self.broker.lease(ROOT, request.params["queue"])
        return await super().look(request)


class LeasesToWhoAsksForTheHead(Tap):
    """A safe method that is none: the framework answers HEAD by it."""

    def routes(self):
        *others, _ = super().routes()
        return (*others, Route("GET", "/tap/{queue}/stream", self.lease))


class KeepsATask(Tap):
    tasks = ()

    async def look(self, request):
        self.tasks = (*self.tasks, asyncio.ensure_future(asyncio.Event().wait()))
        return await super().look(request)


class WaitsForEverForWhoIsGone(Tap):
    async def lease(self, request):
        try:
            return await super().lease(request)
        except asyncio.CancelledError:
            self.task = asyncio.ensure_future(asyncio.Event().wait())
            raise


class KeepsWhatItStreamed(Tap):
    class stream_kind(Drops):
        async def close(self):
            """Nothing comes back."""


class StreamsForEver(Tap):
    """An answer of the framework's that nobody knows to be a stream."""

    def routes(self):
        *others, _ = super().routes()
        return others

    def blueprint(self):
        blueprint = Blueprint("tap", __name__)

        @blueprint.get("/tap/<queue>/stream")
        async def stream(queue):
            request = Request(
                method="GET",
                path="",
                headers={name.lower(): value for name, value in quart_request.headers.items()},
                peer=quart_request.scope["client"][0],
            )
            consuming = await self.broker.consume(await self.identify(request), queue)

            async def drops():
                try:
                    while True:
                        woken = asyncio.Event()
                        consuming.listen(woken.set)
                        await consuming.fetch()
                        for one in consuming.take():
                            yield one.message.body
                        await woken.wait()
                finally:
                    await consuming.close()

            response = QuartResponse(drops())
            response.timeout = None
            return response

        return blueprint


class NeverLooksAgainWhoListens(Tap):
    class stream_kind(Drops):
        def __init__(self, consuming, recheck):
            super().__init__(consuming, None)


class NeverLooksAgainWhatIsPermitted(Tap):
    class stream_kind(Drops):
        def admit(self, identity):
            self.identity = identity

        async def take(self):
            return b""


class IsSilentWhileIdle(Tap):
    class stream_kind(Drops):
        def beat(self):
            """Say nothing."""


class EndsWhatShouldGoOn(Tap):
    class stream_kind(Drops):
        async def take(self):
            if not (piece := await super().take()):
                self.end("rotated")
            return piece


class KnowsOneBroker(Tap):
    known = None

    def __init__(self, broker):
        super().__init__(broker)
        KnowsOneBroker.known = KnowsOneBroker.known or broker
        self.broker = KnowsOneBroker.known


class CannotCloseTwice(Tap):
    is_open = False

    async def open(self):
        self.is_open = True

    async def close(self):
        if not self.is_open:
            raise Closed("there is nothing to close")
        self.is_open = False


class LeavesATaskBehind(Tap):
    async def open(self):
        self.task = asyncio.ensure_future(asyncio.Event().wait())


class NeedsMoreThanItSays(Tap):
    async def look(self, request):
        identity = await self.identify(request)
        if "search" not in self.broker.info.capabilities:
            raise NotImplementedError
        return await super().look(request)


class HasARouteThatNobodyAsks(Tap):
    def routes(self):
        return (*super().routes(), Route("DELETE", "/tap/{queue}", self.look))


class HasOneRouteTwice(Tap):
    def routes(self):
        return (*super().routes(), Route("GET", "/tap/{name}", self.look))


class TakesARouteOfRest(Tap):
    def routes(self):
        return (*super().routes(), Route("GET", "/queues/{name}", self.look))


class MakesQueuesOnTheWay(Tap):
    async def look(self, request):
        await self.broker.queues.put(ROOT, QueueSpec(request.params["queue"]))
        return await super().look(request)
