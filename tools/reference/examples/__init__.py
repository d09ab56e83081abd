"""A plugin for each hook, as small as one can be: what docs/hooks.md shows and a test runs."""
