"""The labels by which a deployment knows what is its own. Their one home."""

from __future__ import annotations

DEPLOYMENT = "hubdeploy.deployment"
ROLE = "hubdeploy.role"
FINGERPRINT = "hubdeploy.fingerprint"
CONTENT = "hubdeploy.content"
SHAPE = "hubdeploy.shape"
# The name that an image was built under. An image of others that is built on ours inherits the label, not the name.
REPOSITORY = "hubdeploy.repository"
INPUTS = "hubdeploy.inputs"
USER = "hubdeploy.user"
SUDO = "hubdeploy.sudo"
# Which kind of server it is; one that an earlier version made has none.
KIND = "hubdeploy.kind"
# The beginning of its MAC address, where its kind has networks.
NETWORKS = "hubdeploy.networks"
# The cards (GPUs) that a server has, while it runs.
CARDS = "hubdeploy.cards"
UID = "hubdeploy.uid"
# The host name and the path under which browsers reach it: together they decide which cookies it gets. A server without
# a path was made by a version that had no other path than /.
HOST, PATH = "hubdeploy.host", "hubdeploy.path"
# On a notebook image: the folder with JupyterLab's files for the hub to serve. Its Dockerfile writes it.
ASSETS = "hubdeploy.assets"

# Only in the hub's request for a new server: the home's volume lies beside the home.
ASIDE = "hubdeploy.aside"

# Roles that are no component's: a user's server, a container that answers one question, one that
# the clock asked for, a user's volume, one of a server's temporary files, and one that users share.
SERVER, ONE_OFF, JOB, VOLUME, SCRATCH, SHARED = "server", "one-off", "job", "volume", "scratch", "shared"
