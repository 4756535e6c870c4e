"""What runs beside users' servers. A new component is a module here and its place in this list; nothing else is edited."""

from hubdeploy.blueprint.component import Component
from hubdeploy.blueprint.components import clock, filter, guard, hub, proxy

# In the order in which they start: the hub exits without the proxy's name and without the filter, and it starts no server
# without the guard. The guard after the proxy: one of an earlier version could not end its connections in peace once it is
# isolated. The clock last: its jobs look at what the others do.
COMPONENTS: tuple[Component, ...] = (proxy.COMPONENT, guard.COMPONENT, filter.COMPONENT, hub.COMPONENT, clock.COMPONENT)
# The one that starts users' servers and logs what becomes of them.
SPAWNER = hub.ROLE
