"""What can be done."""

from __future__ import annotations

from broker_graphql.fields import Resolver
from broker_graphql.resolvers.leasing import lease
from broker_graphql.resolvers.publishing import publish_message, publish_messages
from broker_graphql.resolvers.queue_changes import (
    create_queue,
    delete_queue,
    pause,
    purge,
    redrive,
    resume,
    update_queue,
)
from broker_graphql.resolvers.settling import ack, nack, settle

MUTATIONS: dict[str, Resolver] = {
    "Mutation.createQueue": create_queue,
    "Mutation.updateQueue": update_queue,
    "Mutation.deleteQueue": delete_queue,
    "Mutation.publishMessage": publish_message,
    "Mutation.publishMessages": publish_messages,
    "Mutation.lease": lease,
    "Mutation.settle": settle,
    "Mutation.ack": ack,
    "Mutation.nack": nack,
    "Mutation.purge": purge,
    "Mutation.redrive": redrive,
    "Mutation.pause": pause,
    "Mutation.resume": resume,
}
