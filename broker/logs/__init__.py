"""The log: lines without secrets, written by threads, and read again."""
