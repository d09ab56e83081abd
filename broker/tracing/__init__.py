"""Traces, by OpenTelemetry: a span for each request and for each call of the storage.

Nothing here is imported unless the config, or the environment, says where spans are sent; all that
it does is wrapped around the broker's parts when it is assembled.
"""
