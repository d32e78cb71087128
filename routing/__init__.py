"""routing/ decides: which candidates may answer a request, in which order, with which key, and what follows a failure.

Pure: no HTTP, no clock, no randomness of its own. `now` (monotonic seconds) and `random.Random` are passed in.
Knows neither `cortex` nor `cache`.
"""
