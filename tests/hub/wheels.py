"""Packages that tests install: wheels of one module, made where they are installed, so that no index is needed."""

from __future__ import annotations

WHEEL_NAME = "{}-1-py3-none-any.whl"


def make_wheel(name: str) -> str:
    """Python code that writes /tmp/WHEEL_NAME; its module `name` has an `answer`, which is 42."""
    return f"""
import zipfile
with zipfile.ZipFile("/tmp/{WHEEL_NAME.format(name)}", "w") as archive:
    info = "{name}-1.dist-info"
    archive.writestr("{name}.py", "answer = 42")
    archive.writestr(f"{{info}}/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n")
    archive.writestr(f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    archive.writestr(f"{{info}}/RECORD", "")
"""
