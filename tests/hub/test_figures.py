"""Every library that is shipped shows its thing in a notebook: through a real kernel, and in a browser.
Titles may be in any script, without a box and without a warning.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import docker
import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.test_images import PLAIN, output

PNG, HTML, WIDGET = "image/png", "text/html", "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
# Library -> what a notebook shows of it, and code that shows it.
FIGURES = {
    "matplotlib": (PNG, "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"),
    "seaborn": (PNG, "import seaborn; seaborn.set_theme(); seaborn.lineplot(x=[1, 2], y=[1, 2])"),
    "pandas": (PNG, "import pandas; pandas.DataFrame({'a': [1, 2]}).plot()"),
    "pandas.Styler": (HTML, "import pandas; pandas.DataFrame({'a': [1, 2]}).style.background_gradient()"),
    "networkx": (PNG, "import networkx; networkx.draw(networkx.path_graph(3), with_labels=True)"),
    "scipy": (PNG, "from scipy.cluster.hierarchy import dendrogram, linkage; dendrogram(linkage([[1], [2], [4]]))"),
    "scikit-learn": (
        PNG,
        "from sklearn.metrics import ConfusionMatrixDisplay as C; C.from_predictions([0, 1], [0, 1])",
    ),
    "statsmodels": (
        PNG,
        "import pandas; from statsmodels.graphics.tsaplots import plot_acf; plot_acf(pandas.Series(range(30)))",
    ),
    "sympy": (PNG, "import sympy; sympy.plot(sympy.Symbol('x') ** 2)"),
    "pillow": (PNG, "from PIL import Image; Image.new('RGB', (9, 9))"),
    "plotly": (PLOTLY, "import plotly.express as px; px.line(x=[1, 2], y=[1, 2]).show()"),
    "plotly.FigureWidget": (WIDGET, "import plotly.graph_objects as go; go.FigureWidget(go.Scatter(y=[1, 2]))"),
    "ipywidgets": (WIDGET, "import ipywidgets; ipywidgets.IntSlider()"),
    "tqdm": (WIDGET, "from tqdm.notebook import tqdm; list(tqdm(range(3)))"),
}
# Runs each code of standard input (JSON: name -> code) in one kernel; prints JSON: name -> [MIME types, errors].
ASK_A_KERNEL = """
import json, sys
from jupyter_client.manager import run_kernel
found = {}
with run_kernel(kernel_name="python3") as kernel:
    for name, code in json.load(open("/codes.json")).items():
        types, errors = set(), []
        def take(message):
            content = message["content"]
            types.update(content.get("data", {}))
            if message["msg_type"] == "error" or content.get("name") == "stderr":
                errors.append(content.get("text") or content["evalue"])
        kernel.execute_interactive(code, timeout=100, output_hook=take)
        found[name] = [sorted(types), errors]
print(json.dumps(found))
"""


def shown(client: docker.DockerClient, image: str, codes: dict[str, str]) -> dict[str, list[list[str]]]:
    """Name -> the MIME types that a kernel sent, and its errors and lines on stderr."""
    files = {"codes.json": json.dumps(codes).encode(), "ask.py": ASK_A_KERNEL.encode()}
    text = output(client, image, ["/opt/jupyter/bin/python", "/ask.py"], files=files, **PLAIN)
    return dict(json.loads(text.splitlines()[-1]))


def test_every_library_shows_its_figure_without_an_error(client: docker.DockerClient, notebook_image: str) -> None:
    found = shown(client, notebook_image, {name: code for name, (_, code) in FIGURES.items()})
    assert {name: errors for name, (_, errors) in found.items() if errors} == {}
    assert [name for name, (types, _) in found.items() if FIGURES[name][0] not in types] == []


TITLES = (
    "中文 漢字 日本語 ひらがな 한국어", "مرحبا بالعالم", "हिन्दी नमस्ते", "Привет", "🤔 🥳 🧪 🚀 😀 ❤ 👍",
    "ไทย தமிழ் বাংলা తెలుగు ગુજરાતી ਪੰਜਾਬੀ ಕನ್ನಡ മലയാളം", "עברית ქართული ελληνικά ∑ → ≤",
)  # fmt: skip
DRAW = f"""
plt.figure()
for title in {TITLES!r}:
    plt.title(title); plt.gcf().canvas.draw()
"""


def test_titles_in_any_script_have_their_letters(client: docker.DockerClient, notebook_image: str) -> None:
    set_up = {
        "plain": "import matplotlib.pyplot as plt",
        "seaborn": "import seaborn; seaborn.set_theme()",
        "a style": "plt.style.use('seaborn-v0_8')",
        "a font": "plt.rcParams.update({'font.family': 'monospace'})",
    }
    found = shown(client, notebook_image, {name: code + DRAW for name, code in set_up.items()})
    assert found == {name: [["image/png", "text/plain"], []] for name in set_up}
    # What the formats of files say, and which font a text's own letters come from.
    script = f"""
mkdir -p ~/.config/matplotlib && echo 'font.family: serif' > ~/.config/matplotlib/matplotlibrc
python -W error -c "
import matplotlib.pyplot as plt
assert plt.rcParams['font.family'] == ['serif']
plt.title({" ".join(TITLES)!r})
for form in ('pdf', 'svg', 'png'): plt.savefig('/tmp/figure.' + form)
from matplotlib.font_manager import FontProperties, fontManager
print(fontManager._find_fonts_by_props(FontProperties())[0])"
"""
    assert output(client, notebook_image, ["bash", "-lc", script], **PLAIN).endswith("DejaVuSerif.ttf")


@pytest.mark.parametrize("own_fonts", [False, True])
def test_fonts_are_listed_before_the_first_figure(
    client: docker.DockerClient, notebook_image: str, own_fonts: bool
) -> None:
    # matplotlib takes seconds to make the list. The fonts of a user are listed anew.
    make = (
        "mkdir -p ~/.fonts && cp /usr/share/fonts/truetype/notebook/NotoEmoji* ~/.fonts/mine.ttf;" if own_fonts else ""
    )
    look = "cat ~/.cache/matplotlib/fontlist*.json | cmp -s - /usr/local/share/plotfonts/fontlist*.json && echo same"
    steps = f"{make} python -c 'import matplotlib.font_manager'; {look} || grep -c mine.ttf ~/.cache/matplotlib/*.json"
    assert output(client, notebook_image, ["bash", "-lc", steps], **PLAIN) == ("1" if own_fonts else "same")


# What a page has for each MIME type.
ON_THE_PAGE = {PNG: "img", HTML: "table", WIDGET: ".jupyter-widgets", PLOTLY: "svg.main-svg"}


def test_every_figure_shows_in_the_browser(hub: Clone, page: Page, logged_in: Callable[[str], Person]) -> None:
    logged_in("linus").start_server()
    window.log_in(page, hub.url, "linus", hub.user_password)
    page.wait_for_url("**/hub/home")
    page.goto(f"{hub.url}/user/linus/lab?reset")
    window.open_notebook(page)
    for name, (mime, code) in FIGURES.items():
        what = ON_THE_PAGE[PLOTLY if name == "plotly.FigureWidget" else mime]
        expect(window.run_cell(page, code).locator(what).first, name).to_be_visible(timeout=window.RUN_WITHIN)
