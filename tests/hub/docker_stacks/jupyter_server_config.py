"""What the stand-in tells every Jupyter server of the image."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.ServerApp.ip = ""
c.ServerApp.open_browser = False
