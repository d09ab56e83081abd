"""Rate limiters that let through too much, too little, or whom they should not."""

import asyncio
from collections.abc import Sequence

from contracts.limiters import Bucket, FixedWindow
from msgspec.structs import replace

from broker import Allowance, Quota, Spending
from broker.testing import Limit


class LooksAndTakesLater(FixedWindow):
    """Whoever comes between is not noticed."""

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        before = dict(self.spent)
        await asyncio.sleep(0)
        now, self.spent = self.spent, before
        allowance = await super().spend(spendings)
        self.spent = now | self.spent
        return allowance


class AdmitsOneMore(FixedWindow):
    def left(self, limit: Limit, key: tuple[str, str, int]) -> int:
        return super().left(limit, key) + 1


class TakesEachSpendingByItself(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowances = [await super(type(self), self).spend([one]) for one in spendings]
        return next((one for one in allowances if not one.allowed), allowances[-1])


class TakesWhatItRefuses(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        if not allowance.allowed:
            for limit in self.limits:
                key = (limit.name, self.whose(spendings[0]), self.window(limit))
                self.spent[key] = limit.amount
        return allowance


class TakesTheRestOfWhatIsTooMuch(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        for quota in allowance.quotas:
            if not allowance.allowed and 0 < quota.remaining < spendings[0].cost:
                await super().spend([replace(spendings[0], cost=quota.remaining)])
        return allowance


class CountsRequests(FixedWindow):
    def cost(self, spending: Spending) -> int:
        return 1


class DoesNotCountLogins(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        if spendings[0].activity == "login":
            return Allowance(allowed=True)
        return await super().spend(spendings)


class KnowsOnlyAddresses(FixedWindow):
    def whose(self, who: Spending) -> str:
        return who.peer


class KnowsAnIdentityAtEachAddressAnew(FixedWindow):
    def whose(self, who: Spending) -> str:
        return f"{super().whose(who)} {who.peer}"


class TakesANameForAnAddress(FixedWindow):
    def whose(self, who: Spending) -> str:
        return super().whose(who).partition(" ")[2]


class TakesAllAnonymousForOne(FixedWindow):
    def whose(self, who: Spending) -> str:
        return who.peer if who.identity is None else f"identity {who.identity.subject}"


class StripsNames(FixedWindow):
    def whose(self, who: Spending) -> str:
        return super().whose(who).strip()


class CountsForEachQueueByItself(FixedWindow):
    def whose(self, who: Spending) -> str:
        return f"{super().whose(who)} {who.queue}"


class NamesATimeForWhatIsNeverAllowed(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        wait = 1.0 if not allowance.allowed and allowance.retry_after is None else None
        return replace(allowance, retry_after=wait or allowance.retry_after)


class NamesMilliseconds(FixedWindow):
    def wait(self, limit: Limit) -> float:
        return super().wait(limit) * 1000


class NamesNoTime(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        return replace(await super().spend(spendings), retry_after=None)


class NamesATimeThatIsTooEarly(FixedWindow):
    def wait(self, limit: Limit) -> float:
        return max(0, super().wait(limit) - 0.001)


class NamesWholeSeconds(FixedWindow):
    def wait(self, limit: Limit) -> float:
        return super().wait(limit) // 1 + 1


class WaitsForTheFirstLimitThatRefuses(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        if allowance.retry_after is None:
            return allowance
        return replace(allowance, retry_after=min(map(self.wait, self.limits)))


class PutsOffWhoIsRefused(Bucket):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        whose = FixedWindow.whose(self, spendings[0])
        if not allowance.allowed and whose in self.levels:
            self.levels[whose] = (self.levels[whose][0], self.clock.now())
        return allowance


class SavesUp(Bucket):
    """What is not spent is there later, on top."""

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        whose, now = FixedWindow.whose(self, spendings[0]), self.clock.now()
        level, since = self.levels.get(whose, (self.limit.amount * self.token, now))
        saved = level + (now - since) * self.limit.amount - self.limit.amount * self.token
        allowance = await super().spend(spendings)
        if allowance.allowed and saved > 0:
            self.levels[whose] = (self.levels[whose][0] + saved, now)
        return allowance


class BeginsAnewTooOften(FixedWindow):
    """Its window is a third as long as it says."""

    def window(self, limit: Limit) -> int:
        return self.clock.now() * 3 // (limit.seconds * 1000)


class TellsLessThanNothing(FixedWindow):
    def quota(self, limit: Limit, left: int) -> Quota:
        return super().quota(limit, left if left else -1)


class TellsWhatWasLeftBefore(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        before = dict(self.spent)
        allowance = await super().spend(spendings)
        after, self.spent = self.spent, before
        keys = [
            (one, (one.name, self.whose(spendings[0]), self.window(one))) for one in self.limits
        ]
        quotas = tuple(self.quota(limit, self.left(limit, key)) for limit, key in keys)
        self.spent = after
        return replace(allowance, quotas=quotas)


class RefusesInAnothersName(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        return allowance if allowance.allowed else replace(allowance, refused_by="somebody")


class TakesFromOneLimitAfterTheOther(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance, limits = Allowance(allowed=True), self.limits
        try:
            for limit in limits:
                self.limits = [limit]
                allowance = await super().spend(spendings)
                if not allowance.allowed:
                    break
        finally:
            self.limits = limits
        return allowance


class TakesAgainWhatIsCancelled(FixedWindow):
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await super().spend(spendings)
            raise
        return allowance


class CancelsOthersAlong(FixedWindow):
    """Answers all who ask at one time by one task, which ends with the first of them that goes."""

    batch: asyncio.Task[None] | None = None

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        if self.batch is None or self.batch.done():
            self.batch = asyncio.create_task(asyncio.sleep(0))
        await self.batch
        return await super().spend(spendings)


class ChokesOnStrangeNames(FixedWindow):
    def whose(self, who: Spending) -> str:
        whose = super().whose(who)
        whose.encode("ascii")
        return whose


class RaisesWhenClosedTwice(FixedWindow):
    is_closed = False

    async def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


class RaisesAfterClose(FixedWindow):
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        assert not self.is_closed
        return await super().spend(spendings)
