"""What schemathesis has to know of the API that no schema can say; it loads this by itself.

Requests that shall be served are made such here where one part of them depends on another, or on
what the broker gave out. Those that shall be refused stay as they are.
"""

from urllib.parse import unquote

import schemathesis

from broker.receipts import Receipt, write_receipt

QUEUE = "orders"
SETTLED = ("ack", "retry", "release", "reject", "extend")


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if "{" in unquote(str(case.path_parameters.get("queue"))):
        case.path_parameters["queue"] = QUEUE  # it takes what /asyncapi.json says for a name
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        if path == "/queues/{queue}/messages" and case.query.get("raw") in (True, "true"):
            del case.query["raw"]  # with it, any body is one
        return
    if path == "/queues/{queue}/messages" and case.method == "POST":
        if case.media_type == "*/*" or not isinstance(case.body, dict):
            case.media_type, case.body = (
                "application/octet-stream",
                b"\x00",
            )  # not JSON, as it would
        else:
            case.query.clear()  # these options are for a body that is the message
    case.query.pop("ticket", None)  # there is the header Authorization
    if "event" in case.query:
        case.query["event"] = ["message.*"]  # globs of those events that there are
    if isinstance(case.body, dict) and case.media_type == "application/json":
        case.body = fitting(as_written(case.body), case)


def fitting(body, case):
    """The same, fitting to what the request says elsewhere, and to what is there."""
    path = case.operation.path
    if path == "/messages/settle":
        for kind in SETTLED:
            body[kind] = [with_receipt(item, 1) for item in body.get(kind) or ()]
    if path.startswith("/messages/{id}/") and body.get("receipt") is not None:
        body = with_receipt(body, int(case.path_parameters["id"]))
    if path.endswith("/nack") and body.get("delay") is not None:
        case.query["requeue"] = "true"  # without, a delay means nothing, and is refused
    if body.get("dead_letter_queue") is not None:
        body["dead_letter_queue"] = None  # another must be there, and may be deleted any time
    return body


def as_written(value):
    """The same with whole numbers as such: to JSON Schema 8.0 is one, to the broker it is not."""
    if isinstance(value, dict):
        return {name: as_written(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_written(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def with_receipt(item, message_id):
    """What is settled, with a receipt that can be read, and is of this message."""
    receipt = write_receipt(Receipt(b"t" * 16, message_id, 1, QUEUE))
    return {**item, "receipt": receipt} if isinstance(item, dict) else receipt
