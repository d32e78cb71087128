"""Answers remembered and shared: what a request may be answered from besides an upstream, and what is kept of one."""
