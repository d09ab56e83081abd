"""What goes wrong in authorizers, each time otherwise than in the sound one, which goes by scopes."""

import re
from fnmatch import fnmatchcase

from broker import Authorizer, Closed
from broker.builtin.scopes import ScopeAuthorizer


class PermitsWhatNobodyForbids(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        return not identity.scopes or super().permits(identity, action, queue)


class PermitsAnonymousWhatConcernsNoQueue(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        return (identity.is_anonymous and queue is None) or super().permits(identity, action, queue)


class TakesTheBeginningOfAnAction(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        return super().permits(identity, action, queue) or any(
            scope.startswith(action) and queue and fnmatchcase(queue, scope.partition(":")[2])
            for scope in identity.scopes
        )


class TakesTheBeginningOfAQueue(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        return super().permits(identity, action, queue) or any(
            queue is not None and f"{action}:{queue}".startswith(scope) for scope in identity.scopes
        )


class TakesNoQueueForAny(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        if queue is None:
            return bool(identity.scopes)
        return super().permits(identity, action, queue)


class BreaksWithoutAQueue(Authorizer):
    def permits(self, identity, action, queue):
        return "admin" in identity.scopes or any(
            fnmatchcase(f"{action}:" + queue, scope) for scope in identity.scopes
        )


class BreaksOnStrangeNames(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        re.compile(queue or "")
        return super().permits(identity, action, queue)


class BreaksOnStrangeScopes(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        [*_] = [scope for scope in identity.scopes - {"admin"} if scope.split(":")[1]]
        return super().permits(identity, action, queue)


class RemembersWhatWasAskedAndNotByWhom(ScopeAuthorizer):
    def __init__(self):
        super().__init__()
        self.known = {}

    def permits(self, identity, action, queue):
        return self.known.setdefault((action, queue), super().permits(identity, action, queue))


class TiresOfQuestions(ScopeAuthorizer):
    asked = 0

    def permits(self, identity, action, queue):
        self.asked += 1
        return self.asked <= 3 and super().permits(identity, action, queue)


class KnowsOnlyScopesForAllQueues(ScopeAuthorizer):
    def permits_some(self, identity, action):
        return self.permits(identity, action, "any")


class ForgetsThatAdminsMayDoAll(ScopeAuthorizer):
    def permits_some(self, identity, action):
        return any(scope.startswith(f"{action}:") for scope in identity.scopes)


class ReturnsWhatItFound(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        is_permitted = super().permits(identity, action, queue)
        return [*identity.scopes] if is_permitted else []


class PermitsLater(ScopeAuthorizer):
    async def permits(self, identity, action, queue):
        return super().permits(identity, action, queue)


class LooksIntoAFile(ScopeAuthorizer):
    def permits(self, identity, action, queue):
        with open(__file__):
            return super().permits(identity, action, queue)


class PermitsAllUntilItIsOpen(ScopeAuthorizer):
    is_open = False

    async def open(self):
        self.is_open = True

    async def close(self):
        self.is_open = False

    def permits(self, identity, action, queue):
        return not self.is_open or super().permits(identity, action, queue)


class ClosesOnce(ScopeAuthorizer):
    is_open = False

    async def open(self):
        self.is_open = True

    async def close(self):
        if not self.is_open:
            raise Closed("it is closed already")
        self.is_open = False
