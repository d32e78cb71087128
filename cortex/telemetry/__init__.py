"""telemetry/ tells what happened: one record a request, from which decisions, statistics and the log line are made.

Nothing here is waited for while a request is answered: a record is handed over when its answer has gone.
"""
