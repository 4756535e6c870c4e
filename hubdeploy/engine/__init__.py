"""The Docker engine: observe() takes one snapshot, apply() carries out one operation. The only importer of docker.

It decides nothing; errors of the engine become ours here, by class and status, and are quoted where only their words tell.
"""

from hubdeploy.engine.act import Engine
from hubdeploy.engine.observe import context_paths

__all__ = ["Engine", "context_paths"]
