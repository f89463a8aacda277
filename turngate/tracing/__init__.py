"""Traces: spans for OpenTelemetry, if it is configured."""
