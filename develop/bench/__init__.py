"""Measures this project beside stock, on one engine in one run. Stock is what the usual recipe gives: unmodified
DockerSpawner, configurable-http-proxy inside the hub's container, images by plain `pip install`.

`python -m develop.bench` is what `./invoke bench` runs. It deploys both under names of its own, takes turns (ours, stock, ours,
...) so that a machine that drifts favours neither, and removes all that it made. It asserts nothing.
"""
