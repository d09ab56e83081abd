"""The contract of interceptors, kept with two schemas."""

import json

from broker_json_schema import config_schema, provide_interceptor

from broker import NewMessage
from broker.testing import InterceptorContract, make_context

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
    },
    "additionalProperties": False,
}


def message(body, *, queue="orders-eu", content_type="application/json"):
    return NewMessage(queue=queue, body=body, content_type=content_type)


class TestJsonSchema(InterceptorContract):
    contract = "1.0"
    taken = (
        message(b'{"id": 7}'),
        message(
            b' {"tags": ["\xc3\xa4", "b"], "id": 0} ', content_type="application/vnd.acme+json"
        ),
        message(b"\xff", queue="mail", content_type="text/plain"),
    )
    refused = {
        "a rule broken": message(b'{"id": "seven"}'),
        "a property missing": message(b"{}"),
        "a property too many": message(b'{"id": 7, "id2": 7}'),
        "items twice": message(b'{"id": 7, "tags": ["a", "a"]}'),
        "no JSON": message(b'{"id": 7'),
        "nothing": message(b""),
        "no UTF-8": message('{"id": 7}'.encode("utf-16")),
        "a property twice": message(b'{"id": "seven", "id": 7}'),
        "no number": message(b'{"id": NaN}'),
        "another content type": message(b'{"id": 7}', content_type="text/plain"),
        "the schema of another glob broken": message(b'{"id": 7}', queue="orders-large"),
    }

    def make_interceptor(self, tmp_path, clock):
        (tmp_path / "order.json").write_text(json.dumps(ORDER))
        (tmp_path / "large.json").write_text('{"properties": {"id": {"minimum": 1000}}}')
        schemas = {"orders-*": "order.json", "*-large": "large.json"}
        config = config_schema()(schemas=schemas)
        return provide_interceptor(make_context(tmp_path, clock, config=config))
