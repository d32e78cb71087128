"""The HTTP server: listens, limits, authorises, and hands each request to the room that answers it.

Handlers are thin: what a request means is the dialects' business, who answers it the attempt loop's. Nothing in here
knows a provider.
"""
