"""Lets matplotlib take a letter from another font of the image where a plot's own font has none: Chinese, Japanese, Korean,
Hindi, emoji … Whatever somebody sets as a font stays first. Every Python of the distribution imports this at its start, by
plotfonts.pth, so it imports nothing itself and acts only when matplotlib is imported. It changes no file of a package.

`python -m plotfonts` writes the list of the image's fonts, which takes matplotlib seconds to make.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WATCHED = "matplotlib.font_manager"
FONTS = "/usr/share/fonts/truetype/notebook"
LISTS = "/usr/local/share/plotfonts"
# Where a user's own fonts may be: a list that is made before them would hide them.
OWN_FONTS = ("~/.fonts", "~/.local/share/fonts")


class Finder:
    """Finds matplotlib's module of fonts once, as Python would, and goes."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != WATCHED:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_extend(module: Any) -> None:
                hand_out_list()
                execute(module)
                extend(module)

            loader.exec_module = execute_and_extend
        return spec


def extend(module: Any) -> None:
    """Puts matplotlib's own font, which has most alphabets, and the image's fonts behind those that a text asks for."""
    manager = module.FontManager
    # The one place that serves all of matplotlib's formats; no part of its public interface.
    find = getattr(manager, "_find_fonts_by_props", None)
    if find is None or not os.path.isdir(FONTS):
        return
    own = os.path.join(sys.modules["matplotlib"].get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    images = sorted(os.path.join(FONTS, name) for name in os.listdir(FONTS) if name.endswith((".ttf", ".ttc")))
    others = [path for path in (own, *images) if os.path.exists(path)]

    def found_with_others(self: Any, *arguments: Any, **named: Any) -> list[Any]:
        found = find(self, *arguments, **named)
        return [*found, *(path for path in others if path not in found)]

    manager._find_fonts_by_props = found_with_others


def hand_out_list() -> None:
    """Lays the image's list where matplotlib looks for one, unless the user has a list or fonts."""
    import shutil

    try:
        if any(os.path.isdir(os.path.expanduser(place)) for place in OWN_FONTS):
            return
        home = sys.modules["matplotlib"].get_cachedir()
        for name in os.listdir(LISTS):
            there = os.path.join(home, name)
            if not os.path.exists(there):
                shutil.copyfile(os.path.join(LISTS, name), f"{there}.{os.getpid()}")
                os.replace(f"{there}.{os.getpid()}", there)
    except OSError:
        return  # a full home, or an image without matplotlib: matplotlib makes a list itself


def write_list() -> None:
    """Replaces an older list by a new one; makes none where there is no matplotlib."""
    os.makedirs(LISTS, exist_ok=True)
    for name in os.listdir(LISTS):
        os.remove(os.path.join(LISTS, name))
    os.environ["MPLCONFIGDIR"] = LISTS
    try:
        import matplotlib.font_manager  # noqa: F401
    except ModuleNotFoundError:
        return


if __name__ == "__main__":
    write_list()
else:
    sys.meta_path.insert(0, Finder())
