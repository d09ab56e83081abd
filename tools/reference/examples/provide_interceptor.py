"""Messages that are stamped with whose they are."""

from collections.abc import Sequence

import msgspec

import broker


class AcmeInterceptor(broker.Interceptor):
    """Writes the header `published-by`, and lets nobody write it themselves."""

    async def before_publish(
        self, identity: broker.Identity, batch: Sequence[broker.NewMessage]
    ) -> Sequence[broker.NewMessage]:
        """Refuse a batch with a stamp, or stamp all of it."""
        if any("published-by" in message.headers for message in batch):
            raise broker.Rejected("is the broker's to write", field="headers.published-by")
        return [
            msgspec.structs.replace(
                message, headers={**message.headers, "published-by": identity.subject}
            )
            for message in batch
        ]


@broker.hookimpl
def provide_interceptor(plugin: broker.PluginContext) -> broker.Interceptor:
    """Return one of those that are asked in order."""
    return AcmeInterceptor()
