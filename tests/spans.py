"""Spans that a broker told of, in the words of tests."""

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


class Traced:
    """A broker that traces, and what it told of."""

    def __init__(self, call, exporter):
        self.call = call
        self._exporter = exporter

    def spans(self):
        """The spans that ended since this was asked last, in the order of their ends."""
        self.call.assembly.tracing.provider.force_flush()
        spans = self._exporter.get_finished_spans()
        self._exporter.clear()
        return spans

    def span(self, name):
        [found] = [span for span in self.spans() if span.name == name]
        return found


def ids(span):
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def parent(span):
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def linked(span):
    return [f"{link.context.span_id:016x}" for link in span.links]


def header(span):
    return "00-{}-{}-{:02x}".format(*ids(span), span.get_span_context().trace_flags)
