"""The rules that a Docker engine leaves in the firewall, and taking them out again."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

from deploy.e2e.commands import CommandError, Shell

PROTOCOLS = ("iptables", "ip6tables")


@dataclass(frozen=True)
class Firewall:
    """The firewall of one protocol at one moment.

    Attributes:
        lines: As ``iptables-save`` writes them, each with its table: chains with their policies, and rules, in order.
    """

    lines: tuple[tuple[str, str], ...]

    @classmethod
    def now(cls, shell: Shell, protocol: str) -> Self:
        """What it is now; empty where there is none."""
        try:
            return cls.read(shell.attempt(f"{protocol}-save", quiet=True).out)
        except CommandError:
            return cls(())

    @classmethod
    def read(cls, saved: str) -> Self:
        """What ``iptables-save`` has written, without comments and counters."""
        lines, table = [], ""
        for line in saved.splitlines():
            if line.startswith("*"):
                table = line
            elif line.startswith(":"):
                lines.append((table, f"{line.partition(' [')[0]} [0:0]"))
            elif line.startswith("-"):
                lines.append((table, line))
        return cls(tuple(lines))

    def written(self) -> str:
        """As ``iptables-restore`` reads it."""
        tables = dict.fromkeys(table for table, _ in self.lines)
        return "".join(
            "\n".join([table, *(line for of, line in self.lines if of == table), "COMMIT", ""]) for table in tables
        )

    def restore(self, shell: Shell, protocol: str) -> None:
        """Takes out what an engine has added since: its own chains, rules that name it, and policies it has changed."""
        now = self.now(shell, protocol)
        wanted = self.without_engine(now)
        if wanted != now:
            shell.attempt(f"{protocol}-restore", stdin=wanted.written())

    def without_engine(self, now: Self) -> Self:
        """What ``now`` is without the engine that has come since; what anybody else has added stays."""
        before = Counter(self.lines)
        policies = {(table, line.split()[0]): line for table, line in self.lines if line.startswith(":")}
        kept = []
        for table, line in now.lines:
            if before[table, line] > 0:
                before[table, line] -= 1
                kept.append((table, line))
            elif line.startswith(":") and (table, line.split()[0]) in policies:
                kept.append((table, policies[table, line.split()[0]]))
            elif "docker" not in line.lower():
                kept.append((table, line))
        return type(self)(tuple(kept))
