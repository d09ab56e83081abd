"""Plugins that come with the core. They import its public names only, like any other plugin."""
