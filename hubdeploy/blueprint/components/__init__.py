"""What runs beside users' servers. A new component is a module here and its place in this list; nothing else is edited."""

from hubdeploy.blueprint.component import Component
from hubdeploy.blueprint.components import hub, proxy

# In the order in which they start: without the proxy's name the hub exits.
COMPONENTS: tuple[Component, ...] = (proxy.COMPONENT, hub.COMPONENT)
# The one that starts users' servers and logs what becomes of them.
SPAWNER = hub.ROLE
