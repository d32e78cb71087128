"""The way to the upstreams: HTTP/1.1 over pooled connections, behind `cortex.transport`.

`target` and `head` say what goes out, `answer` reads what comes back, `pool` decides which idle connections are kept:
these four are pure. `resolve` and `dial` find and connect, `connection` is one socket, and `transport` puts them
together. None of them knows JSON, events, keys, retries, or any deadline but the one to connect.
"""
