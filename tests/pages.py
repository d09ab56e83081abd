"""Examples of the docs: each command with what is shown below it; … stands for anything."""

import re


def blocks(text, kind):
    """The code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def examples(text):
    """Yield each command with the lines that are shown below it."""
    for block in blocks(text, "console"):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = example.partition("\n")
            yield command, shown


def matches(shown, printed):
    """Tell whether a command printed what is shown."""
    pattern = "[^\n]*".join(re.escape(part) for part in shown.rstrip("\n").split("…"))
    return re.fullmatch(pattern, printed.rstrip("\n")) is not None
