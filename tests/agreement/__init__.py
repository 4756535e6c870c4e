"""The model of agreement: every place in which a setting finally shows, rendered by the product's own code up to the
engine's border, and one function that compares them all. Pure: no engine, no network, only temporary folders.

`facts.disagreements(settings)` is what tests ask; `discovery.dependencies(settings, key)` says which parts show a key.
"""
