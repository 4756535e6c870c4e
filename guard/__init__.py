"""The guard: a component that keeps users' servers from one another, from the engine's host and from private networks."""
