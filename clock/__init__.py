"""The clock: asks the filter for what must happen between two calls of `up`."""
