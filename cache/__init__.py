"""cache/ remembers: answers by the request that they belong to.

No HTTP, no clock. Knows neither `cortex` nor `routing`.
"""
