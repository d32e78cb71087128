"""Free health probes: each interval, one call a provider that costs no token.

A probe shows that a provider answers, and that a key is accepted where its list of models asks for one; quota and
limits show on real calls only.
"""

from __future__ import annotations

import asyncio
from itertools import count

from cortex.app import App
from cortex.errors import Fault, FaultKind
from cortex.runtime import Provider, Runtime
from cortex.transport import UpstreamRequest
from routing.policy import KeyEffect

TIMEOUT_S = 10.0
_MAX_BODY_BYTES = 64 * 1024


async def probe_for_ever(app: App) -> None:
    """The interval is the configuration's in force, so that a reload changes it."""
    for turn in count():
        await probe_all(app, turn)
        await asyncio.sleep(app.runtime.config.health.interval)


async def probe_all(app: App, turn: int = 0) -> None:
    """Every provider once, at the same time. `turn` picks the key, so that in time each is looked at."""
    runtime = app.runtime
    providers = [provider for provider in runtime.providers.values() if provider.off is None]
    async with asyncio.TaskGroup() as group:
        for provider in providers:
            group.create_task(_probe(app, runtime, provider, turn % len(provider.keys)), name=f"probe-{provider.name}")


async def _probe(app: App, runtime: Runtime, provider: Provider, slot: int) -> None:
    fault = await _call(provider, provider.keys[slot])
    now = asyncio.get_running_loop().time()
    health = runtime.state.health
    candidates = [f"{provider.name}/{model}" for model in provider.models]
    if fault is None:
        health.probe_ok(candidates, now)
        return
    message = runtime.redactor.redact(fault.message)
    if fault.kind is FaultKind.INVALID_KEY:
        pool = runtime.state.pools[provider.name]
        pool.apply(slot, KeyEffect.DISABLE, now, model="", cause=fault.kind.value)
        app.telemetry.log.error(
            "key disabled: the provider refuses it", key=f"{provider.name}#{slot + 1}", reason=message
        )
    elif fault.rule.policy.ejects:
        health.probe_failed(candidates, now, cause=fault.kind.value)
        app.telemetry.log.debug("probe failed", provider=provider.name, kind=fault.kind.value, reason=message)


async def _call(provider: Provider, key: str | None) -> Fault | None:
    call = provider.codec.probe()
    headers = {"accept": "application/json", **call.headers, **provider.codec.auth(key)}
    request = UpstreamRequest(call.method, provider.base_url + call.path, headers, call.body)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            response = await provider.transport.open(request, connect_timeout_s=provider.timeouts.connect_s)
            try:
                if response.status < 400:
                    return None
                body = b""
                while len(body) < _MAX_BODY_BYTES and (data := await response.read()):
                    body += data
                return provider.codec.classify(response.status, response.headers, body)
            finally:
                response.close()
    except Fault as fault:
        return fault
    except TimeoutError:
        return Fault(FaultKind.TIMEOUT, f"no answer to the probe within {TIMEOUT_S:.0f} s")
