"""The filter: holds the engine's socket, and gives the hub the few requests that users' servers need."""
