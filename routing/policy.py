"""What a failure means for routing: the columns that `cortex.errors` fills in, one row a kind of fault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Next(Enum):
    """Where a request goes after a failed attempt."""

    SAME = "same"  # the same candidate at once: the fault says nothing about it (a stale connection)
    KEY = "key"  # another key of the same candidate, else the next candidate
    CANDIDATE = "candidate"  # the next candidate
    LARGER = "larger"  # the next candidate with a larger context window
    STOP = "stop"  # nowhere: the request itself is at fault, or nobody waits for the answer


class KeyEffect(Enum):
    """What a failure does to the key that was used."""

    NONE = "none"
    COOL = "cool"  # until the reset that the provider names, else `key_cooldown`
    PARK = "park"  # a limit that does not clear by waiting minutes: quota, credit, spend
    DISABLE = "disable"  # until the configuration changes


@dataclass(frozen=True, slots=True)
class Policy:
    """How routing answers one kind of failure."""

    next: Next
    key: KeyEffect = KeyEffect.NONE
    ejects: bool = False  # counts towards the candidate's ejection
    retry_same: bool = False  # may be tried again, with backoff, when no other candidate is left
    limited: bool = False  # the candidate refuses for want of capacity left to this account
    request_fault: bool = False  # the request itself is at fault, as this candidate judges it


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as routing sees it."""

    policy: Policy
    retry_after_s: float | None = None  # what the provider named, already clamped
    model_scoped: bool = False  # the limit is the model's, not the whole key's
