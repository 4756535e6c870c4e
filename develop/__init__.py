"""Tools of the developers: tests and benchmarks. Nothing here is imported by the operator's library."""
