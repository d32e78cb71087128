"""Which route a conversation took at a node: its next turns stay there, where the provider may have it in its cache."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from routing.semantic.judgement import Judgement

KEPT_S = 600.0  # after its last turn
MOST = 10_000  # conversations and nodes; the oldest goes
_CLEARLY_OTHER = 0.85  # the probability from which on a new turn is another task
_LEAST_WORDS = 5  # of a turn that is one
_LEAST_WORDS_OF_A_QUESTION = 10


class Affinity:
    def __init__(self, most: int = MOST, kept_s: float = KEPT_S) -> None:
        self._most = most
        self._kept_s = kept_s
        self._routes: OrderedDict[bytes, tuple[str | None, float]] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        return len(self._routes)

    def known(self, conversation: bytes, now: float) -> bool:
        found = self._routes.get(conversation)
        return found is not None and now < found[1]

    def route(self, conversation: bytes) -> str | None:
        """Of one that is known; None: the default."""
        return self._routes[conversation][0]

    def keep(self, conversation: bytes, route: str | None, now: float) -> None:
        """`now` is monotonic seconds."""
        self._routes[conversation] = route, now + self._kept_s
        self._routes.move_to_end(conversation)
        if len(self._routes) > self._most:
            self._routes.popitem(last=False)

    def carry_over(self, old: Affinity) -> None:
        self._routes = old._routes


def is_remark(task: str | None, words: int) -> bool:
    """Whether a turn may be said within any task: thanks, a question in passing, a few words. `task`: that it seems to
    be, if it is one known out of the box."""
    return task == "chat" or words < _LEAST_WORDS or (task == "qa" and words < _LEAST_WORDS_OF_A_QUESTION)


def stays(turn: Judgement, route: str | None, *, remark: bool) -> Judgement:
    """What becomes of a new turn of a conversation that took `route`: it stays, unless it is clearly another task."""
    if turn.route == route:
        return turn
    sure = turn.route is not None and turn.best[0][1] >= max(_CLEARLY_OTHER, turn.threshold or 0.0)
    if sure and not remark:
        return turn
    return replace(turn, route=route, stage="affinity", reason="the conversation stays where it is")
