"""Which task a prompt is, from its text alone."""
