"""The table that a campaign ends with."""

from collections import Counter
from dataclasses import dataclass, field

from crash.checker import Verdict

_SHOWN_FAULTS = 20


@dataclass
class Summary:
    """What a campaign came to."""

    seed: int
    cycles: int = 0
    looks: int = 0
    """How often a store was found sound, with right counters."""
    acknowledged: int = 0
    acked: int = 0
    delivered: int = 0
    recovered: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    """Of the faults."""
    lives: list[float] = field(default_factory=list)
    """Seconds from the first answer of each broker to its end."""
    slowest_ready: float = 0.0
    """Seconds from a start to `/readyz`, without those in which others had the CPU."""

    def add(self, verdict: Verdict) -> None:
        """Add the figures of a history whose store was sound."""
        self.looks += 1
        self.acknowledged += verdict.acknowledged
        self.acked += verdict.acked
        self.delivered += verdict.delivered
        self.recovered += verdict.recovered
        self.duplicates += verdict.duplicates
        for kind, faults in verdict.faults.items():
            self.kinds[kind] += len(faults)
            self.faults += [f"cycle {self.cycles}: {fault}" for fault in faults]

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(self.duplicates.items()))
        lives = f"{min(self.lives):.2f} to {max(self.lives):.2f} s" if self.lives else "never"
        rows = [
            ("seed", self.seed),
            ("cycles", self.cycles),
            ("killed after the first answer", lives),
            ("acknowledged publishes", self.acknowledged),
            ("acknowledged acks", self.acked),
            ("deliveries", self.delivered),
            ("delivered again", f"{self.duplicates.total()} ({reasons})"),
            ("unanswered publishes that are there", self.recovered),
            *((kind, self.kinds[kind]) for kind in _KINDS),
            ("sound, with right counters", f"{self.looks} of {self.cycles + 1} times"),
            ("slowest ready", f"{self.slowest_ready:.2f} s"),
        ]
        table = [f"{name:<36} {value}" for name, value in rows]
        return "\n".join([*table, *self.faults[:_SHOWN_FAULTS]])


_KINDS = ("lost", "redelivered", "unexpected", "duplicated", "torn", "early")
