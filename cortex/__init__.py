"""cortex/ does: the proxy. Reads the configuration, serves clients, calls upstreams; asks `routing` what to do."""

__version__ = "0.1.0"
