"""What every Jupyter server on this image is set to, and what lets a user's first cell answer sooner."""

import importlib.util
import os
import shutil

import zmq
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

# Milliseconds. ZeroMQ's own are 100: a kernel that has just begun to listen is noticed so late that the server misses the
# first thing it says, and asks again only after half a second.
_LOOK_FOR_KERNEL_EVERY = 5


class KernelManager(AsyncMappingKernelManager):  # type: ignore[misc]  # its package is in the image only
    """Notices at once that a kernel listens."""

    def _context_default(self) -> zmq.Context:
        context = super()._context_default()
        context.setsockopt(zmq.RECONNECT_IVL, _LOOK_FOR_KERNEL_EVERY)
        return context


c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.ServerApp.kernel_manager_class = KernelManager
# In singleuser.py's folder, so only servers of the hub find them.
c.ServerApp.jpserver_extensions = {
    "notebook_shim": False,
    **{name: importlib.util.find_spec(name) is not None for name in ("hub_notices", "shared_assets")},
    # From COURSE_REPOSITORIES. Without it no address of course material is there.
    "course_material": bool(os.environ.get("NOTEBOOK_COURSE_REPOSITORIES"))
    and importlib.util.find_spec("course_material") is not None,
}
# From KERNEL_IDLE_TIMEOUT. A page that holds a kernel does not keep it, and work does.
if _kernel_idle_timeout := int(os.environ.get("NOTEBOOK_KERNEL_IDLE_TIMEOUT", "0")):
    c.MappingKernelManager.cull_idle_timeout = _kernel_idle_timeout
    c.MappingKernelManager.cull_interval = max(1, min(300, _kernel_idle_timeout // 4))
    c.MappingKernelManager.cull_connected = True
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
# Hidden files may be shown and uploaded; JupyterLab hides them until its user asks for them.
c.ContentsManager.allow_hidden = True
c.ServerApp.extra_services = [name for name in ("classic_links",) if importlib.util.find_spec(name)]
# What an export needs; without it JupyterLab would offer a format that ends in an error. A format that is made by way of
# another goes with it: PDF with LaTeX.
for exporter, is_there in {
    "ASCIIDocExporter": shutil.which("pandoc"),
    "LatexExporter": shutil.which("pandoc"),
    "RSTExporter": shutil.which("pandoc"),
    "PDFExporter": shutil.which("pandoc") and shutil.which("xelatex"),
    "WebPDFExporter": importlib.util.find_spec("playwright"),
    "QtPDFExporter": importlib.util.find_spec("PyQt5"),
    "QtPNGExporter": importlib.util.find_spec("PyQt5"),
}.items():
    c[exporter].enabled = bool(is_there)
