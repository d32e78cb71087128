"""How clients speak: a request's bytes → the vocabulary of `cortex.chat`, events → the bytes of an answer.

A dialect is pure and knows nothing of providers, routing or HTTP.
"""
