"""What became of one conversation, whoever held it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Account:
    """What a client that returns when its connection is lost can say at the end."""

    #: The word by which the answers to this conversation's turns are known.
    mark: str
    #: Its connection was lost, and it could not go on.
    cut: bool = False
    #: It came back to a session that did not know it.
    unknown: int = 0
    greeted: int = 0
    #: The turns that were answered, and all that was said to it.
    answered: int = 0
    said: list[str] = field(default_factory=list)
    #: The seconds until each return, from the loss to ``Welcome``; how many of these were told of a loss.
    away: list[float] = field(default_factory=list)
    recovered: int = 0
    errors: list[str] = field(default_factory=list)
    #: The turns that were asked a second time, since nobody had said whether they were accepted.
    asked_again: set[int] = field(default_factory=set)

    def mark_of(self, turn: int) -> str:
        """The word by which the answer to this turn is known."""
        return f"{self.mark}-{turn}."

    def doubled(self) -> list[str]:
        """The turns that were asked once, and answered more than once."""
        said = " ".join(self.said)
        once = set(range(self.answered)) - self.asked_again
        return [mark for mark in map(self.mark_of, once) if said.count(mark) > 1]


def table(accounts: list[Account], turns: int) -> str:
    """What became of them, in a line; each was to have so many ``turns``."""
    away = sorted(seconds for account in accounts for seconds in account.away)
    longest = f", away {away[len(away) // 2]:.2f} s (median), {away[-1]:.2f} s (longest)" if away else ""
    doubled = sum(bool(account.doubled()) for account in accounts)
    return (
        f"{len(accounts)} sessions, {sum(account.cut for account in accounts)} cut, "
        f"{sum(account.greeted > 1 for account in accounts)} greeted twice, "
        f"{sum(account.answered < turns for account in accounts)} with a request lost, "
        f"{doubled} with one answered twice, {sum(account.answered for account in accounts)} turns, "
        f"{len(away)} returns, {sum(account.recovered for account in accounts)} told of a loss{longest}"
    )
