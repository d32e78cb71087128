"""The floor of the stack: what any proxy pays that is made of aiohttp. usage: bare_proxy.py PORT UPSTREAM_PORT

One handler and one ClientSession on uvloop, tuned as one would tune a proxy: no limit on connections, no cookies, no
decompression, no time-outs, no access log. It reads nothing, chooses nothing and remembers nothing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

HOST = "127.0.0.1"
_BACKLOG = 4096
_SESSION = web.AppKey("session", aiohttp.ClientSession)
_PASSED_ON = ("Content-Type", "Authorization")


def _application(upstream: str) -> web.Application:
    async def session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        ) as app[_SESSION]:
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        body = await request.read()
        async with request.app[_SESSION].request(
            request.method, upstream + request.path_qs, data=body or None, headers=headers
        ) as answer:
            told = {"Content-Type": answer.headers["Content-Type"]}
            if answer.content_length is not None:
                return web.Response(status=answer.status, body=await answer.read(), headers=told)
            response = web.StreamResponse(status=answer.status, headers=told)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


if __name__ == "__main__":
    web.run_app(
        _application(f"http://{HOST}:{int(sys.argv[2])}"),
        host=HOST,
        port=int(sys.argv[1]),
        backlog=_BACKLOG,
        shutdown_timeout=1,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
