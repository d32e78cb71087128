"""The handlers that tell: health, providers, counters, decisions. They read; nothing here changes anything."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from cortex import __version__
from cortex.chat import Json
from cortex.server.errors import bad_value, not_found
from cortex.server.incoming import Incoming
from cortex.server.status import ProviderView, Summary, summarise, view

DECISIONS_SHOWN = 50
MOST_DECISIONS_SHOWN = 1000


async def index(incoming: Incoming) -> None:
    """Where to go from here."""
    await incoming.send_json(
        {
            "name": "cortex",
            "version": __version__,
            "endpoints": {
                "chat": "/v1/chat/completions",
                "models": "/v1/models",
                "health": "/api/health",
                "contract": "/openapi.json",
            },
        }
    )


async def livez(incoming: Incoming) -> None:
    await incoming.send_json({"status": "alive"})


async def readyz(incoming: Incoming) -> None:
    if incoming.app.draining:
        await incoming.send_json({"status": "draining"}, 503)
    elif not _summary(incoming).available:
        await incoming.send_json({"status": "no provider is available"}, 503)
    else:
        await incoming.send_json({"status": "ready"})


async def health(incoming: Incoming) -> None:
    views = view(incoming.runtime, _now())
    summary = summarise(views)
    told: dict[str, Json] = {
        "status": summary.health,
        "timestamp": _timestamp(),
        "workers": {seen.provider.name: seen.status for seen in views if seen.status != "off"},
        "summary": summary.as_json(),
    }
    if (classifier := incoming.runtime.classification.health()) is not None:
        told["classifier"] = classifier
    await incoming.send_json(told, 200 if summary.available else 503)


async def workers(incoming: Incoming) -> None:
    views = view(incoming.runtime, _now())
    await incoming.send_json({"workers": [_worker(seen) for seen in views], "summary": summarise(views).as_json()})


async def stats(incoming: Incoming) -> None:
    counted = incoming.app.telemetry.stats
    up_s = _now() - counted.started
    await incoming.send_json(
        {
            "requests": counted.requests(),
            "performance": counted.performance(),
            "keys": {
                seen.provider.name: [
                    _key(key.name, key.status, key.used, key.errors, key.blocked_for_s) for key in seen.keys
                ]
                for seen in view(incoming.runtime, _now())
            },
            "cache": incoming.runtime.caching.overview(_now()),
            "cost": counted.cost(),
            "uptime": {"seconds": round(up_s, 3), "formatted": _formatted(up_s)},
            "timestamp": _timestamp(),
        }
    )


async def decisions(incoming: Incoming) -> None:
    shown = _shown(incoming.request.query.get("limit"))
    newest = incoming.app.telemetry.decisions.newest(shown)
    await incoming.send_json({"decisions": [record.decision() for record in newest]})


async def decision(incoming: Incoming) -> None:
    record = incoming.app.telemetry.decisions.get(incoming.tail)
    if record is None:
        raise not_found("no decision with this request id is kept; the newest 1000 are", "decision_not_found")
    await incoming.send_json(record.decision())


def _summary(incoming: Incoming) -> Summary:
    return summarise(view(incoming.runtime, _now()))


def _worker(seen: ProviderView) -> dict[str, Json]:
    provider = seen.provider
    return {
        "name": provider.name,
        "type": provider.type,
        "priority": provider.priority,
        "status": seen.status,
        "models": list(provider.models),
        "api_keys_count": provider.keyed,
        "available_keys": sum(key.status == "available" for key in seen.keys),
        "in_flight": seen.in_flight,
        "latency_ms": None if seen.latency_s is None else round(seen.latency_s * 1000, 3),
        "last_error": seen.reason,
    }


def _key(name: str, status: str, used: int, errors: int, blocked_for_s: float | None) -> dict[str, Json]:
    return {
        "key": name,
        "status": status,
        "used": used,
        "errors": errors,
        "blocked_until": None if blocked_for_s is None else _timestamp(blocked_for_s),
    }


def _shown(limit: str | None) -> int:
    """Raises Refused (400)."""
    if limit is None:
        return DECISIONS_SHOWN
    # isdecimal alone would let through digits of other scripts, and a number too long to read.
    if limit.isascii() and limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= MOST_DECISIONS_SHOWN:
        return int(limit)
    raise bad_value(f"limit is a whole number from 1 to {MOST_DECISIONS_SHOWN}", "limit")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _timestamp(ahead_s: float = 0.0) -> str:
    """ISO 8601, UTC."""
    at = datetime.now(UTC) + timedelta(seconds=ahead_s)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _formatted(seconds: float) -> str:
    """As "2d 3h 4m 5s", without leading zeros."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    parts = [(day, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{amount}{unit}" for amount, unit in parts)
