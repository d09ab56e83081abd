"""An OpenTelemetry collector: takes spans by OTLP over HTTP, and keeps them."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received:
    """One span, as it came over the wire."""

    def __init__(self, service, resource, span):
        self.service = service
        self.resource = resource
        self.name = span.name
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.kind = span.kind
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        self.attributes = values_of(span.attributes)


def values_of(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Collector:
    """Use as a context manager; `url` is where it listens."""

    def __init__(self):
        self.spans = []
        self.requests = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests.append((self.path, dict(self.headers)))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, request):
        for group in request.resource_spans:
            resource = values_of(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [
                    Received(resource["service.name"], resource, span) for span in scope.spans
                ]

    def span(self, service, name):
        [found] = [s for s in self.spans if (s.service, s.name) == (service, name)]
        return found

    def __enter__(self):
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
