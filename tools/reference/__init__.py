"""Writes docs/hooks.md and docs/api.md from the sources: `make docs`."""
