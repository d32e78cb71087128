"""Serving: start, signals, reload, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable

import uvloop

from cortex.app import App
from cortex.build import build
from cortex.classification import START_S, keep_prepared
from cortex.config.load import Loaded
from cortex.config.schema import is_loopback
from cortex.probes import probe_for_ever
from cortex.reload import Reloader
from cortex.server.listener import Listener
from cortex.tasks import Background
from cortex.telemetry.log import Log
from cortex.telemetry.telemetry import Telemetry
from cortex.upstream.transport import HttpTransport

_SWITCH_S = 0.0005  # how long another thread, the log's, may keep the event loop from going on
_EXPIRE_EVERY_S = 60.0
_GC_THRESHOLD = 50_000  # container objects between two young collections: a request makes few cycles


def run(loaded: Loaded, *, host: str | None, port: int | None, ready: Callable[[App, str], None]) -> int:
    """Serve until stopped by SIGTERM or SIGINT; the exit code. `loaded` must hold a configuration.

    `ready` is called once with the address when connections are accepted. Raises OSError if it cannot listen.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(loaded, host, port, ready))


async def _serve(loaded: Loaded, host: str | None, port: int | None, ready: Callable[[App, str], None]) -> int:
    http = HttpTransport()
    log = Log()
    runtime = build(loaded, None, http, log)
    config = runtime.config
    settings = config.telemetry.log
    log.configure(format=settings.format, level=settings.level, redact=runtime.redactor.redact)
    app = App(runtime, Telemetry(log, asyncio.get_running_loop().time()), http, time.time())
    listener = Listener(app)
    background = Background(log)
    stop = _Stop()
    log.start()
    try:
        await runtime.classification.prepare(START_S)
        host = host or config.server.host
        address = await listener.start(host, config.server.port if port is None else port)
        app.loopback = is_loopback(host)
        reloader = Reloader(app, loaded.path)
        _on_signals(stop, background, reloader)
        background.start("probes", probe_for_ever(app))
        background.start("watch", reloader.watch())
        background.start("classification", keep_prepared(app))
        background.start("cache", _expire_for_ever(app))
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 20)
        sys.setswitchinterval(_SWITCH_S)
        ready(app, address)
        await stop.asked.wait()
        await _drain(app, listener, stop)
        return 0
    finally:
        await background.stop()
        await listener.close()
        await http.close()
        app.runtime.classification.close()
        log.stop()


async def _expire_for_ever(app: App) -> None:
    """Free what nobody asks the cache for any more."""
    while True:
        await asyncio.sleep(_EXPIRE_EVERY_S)
        app.runtime.caching.cache.store.expire(time.monotonic())


class _Stop:
    """The first signal asks for a drain, the second for an end at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def signal(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


def _on_signals(stop: _Stop, background: Background, reloader: Reloader) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.signal)
    loop.add_signal_handler(signal.SIGHUP, lambda: background.start("reload", _reload(reloader)))


async def _reload(reloader: Reloader) -> None:
    await reloader.reload()


async def _drain(app: App, listener: Listener, stop: _Stop) -> None:
    """No new connections; requests in flight may finish within `server.drain`."""
    app.draining = True
    limit_s = app.runtime.config.server.drain
    listener.stop_accepting()
    log = app.telemetry.log
    log.info("draining", in_flight=app.telemetry.stats.active, limit_s=limit_s)
    try:
        async with asyncio.timeout(limit_s):
            idle = asyncio.create_task(listener.idle(), name="cortex-drain")
            at_once = asyncio.create_task(stop.at_once.wait(), name="cortex-stop")
            try:
                await asyncio.wait((idle, at_once), return_when=asyncio.FIRST_COMPLETED)
            finally:
                idle.cancel()
                at_once.cancel()
    except TimeoutError:
        log.warning("drain limit reached: requests in flight are cut", in_flight=app.telemetry.stats.active)
