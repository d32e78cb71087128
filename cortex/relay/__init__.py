"""Upstream bytes → client bytes.

One interface, two ways: `Forward` passes an upstream's frames on untouched where it speaks the client's dialect;
`Rerender` decodes to events and renders anew. Both hold everything back until the first real content, and the end until
the terminal marker, so that an attempt can fail unseen and a cut answer never looks whole. Pure: no I/O, no clock.
"""

from cortex.relay.relay import Relay, relay_for
from cortex.relay.tally import Tally
from cortex.relay.whole import stream_as_whole, whole_answer, whole_as_stream

__all__ = ["Relay", "Tally", "relay_for", "stream_as_whole", "whole_answer", "whole_as_stream"]
