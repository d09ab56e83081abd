"""Queues that belong to whoever their names begin with."""

import broker


class AcmeAuthorizer(broker.Authorizer):
    """Lets `shop` do everything with `shop.orders`, and nobody do anything else."""

    def permits(self, identity: broker.Identity, action: broker.Action, queue: str | None) -> bool:
        """Tell whether the queue is theirs."""
        return action != "admin" and queue is not None and queue.startswith(f"{identity.subject}.")


@broker.hookimpl
def provide_authorizer(plugin: broker.PluginContext) -> broker.Authorizer:
    """Return the one authorizer."""
    return AcmeAuthorizer()
