"""The pages that the proxy shows while the hub or a user's server does not answer. Pure.

Each is one file that needs nothing else: whoever could serve a style sheet may be away too. It looks like the hub's own
pages, light and dark, and goes on by itself when there is an answer. Without JavaScript it loads itself again.
"""

from __future__ import annotations

import base64
import html
from string import Template

from hubdeploy.contract import pictures

# Name of the file -> title, text, and the text after a minute of waiting.
_TEXTS = {
    "hub.html": (
        "The hub is away for a moment",
        "It is probably being updated. Servers that run go on, with everything in them.",
        "This takes longer than an update. Please tell the operator of this hub.",
    ),
    "server.html": (
        "This server does not answer",
        "If it has ended, the hub says so in a moment and offers to start it again.",
        "It still does not answer. Stop it on the hub's home page and start it again, or tell the operator of this hub.",
    ),
}

# The colours are from the hub's style sheet; the orange of its buttons is too light to be read as text.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title - $hub</title>
<noscript><meta http-equiv="refresh" content="3"></noscript>
<style>
:root { color-scheme: light; --text: #212529; --page: #fff; --bar: #f8f9fa; --soft: #495057; --link: #1a5a8a }
[data-theme=dark] { color-scheme: dark; --text: #dee2e6; --page: #212529; --bar: #2b3035; --soft: #ced4da; --link: #7fbbe8 }
body { margin: 0; color: var(--text); background: var(--page); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif }
header { padding: 1rem; background: var(--bar); font-size: 1.25rem }
header img { height: 28px; margin-right: .5rem; vertical-align: middle }
main { max-width: 36rem; margin: 3rem auto; padding: 0 1rem; text-align: center }
h1, p { text-wrap: balance }
h1 { font-size: 1.75rem; font-weight: 500; line-height: 1.2 }
#waiting { color: var(--soft) }
#waiting::before { content: ""; display: inline-block; width: .75rem; height: .75rem; margin-right: .5rem; border-radius: 50%;
  background: #f37726; animation: waiting 2s ease-in-out infinite }
@keyframes waiting { 50% { opacity: .2 } }
@media (prefers-reduced-motion: reduce) { #waiting::before { animation: none } }
a { color: var(--link) }
</style>
<script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
let chosen = null;
try { chosen = localStorage.getItem("jupyterhub-bs-theme"); } catch (blocked) {}
document.documentElement.dataset.theme = chosen === "dark" || chosen === "light" ? chosen : dark;
</script>
</head>
<body>
<header>$logo$hub</header>
<main>
<h1>$title</h1>
<div role="status"><p id="text">$text</p></div>
<p id="waiting">This page loads again as soon as there is an answer.</p>
<p><a id="home" hidden>The hub's home page</a></p>
</main>
<script>
const began = Date.now();
const server = location.pathname.match(/^(.*?)\\/user\\//);
if ("$name" === "server.html" && server) {
  home.href = server[1] + "/hub/home";
  home.hidden = false;
}
async function look() {
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" }, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(10000),
    });
    // A reload would send a form once more; an address with a hash would only be scrolled to.
    if (![502, 503, 504].includes(answer.status)) return location.hash ? location.reload() : location.replace(location.href);
  } catch (unreachable) {}
  if (Date.now() - began > 60000) document.getElementById("text").textContent = "$later";
  setTimeout(look, 1000);
}
setTimeout(look, 200);
</script>
</body>
</html>
""")


def pages(hub: str, logo: bytes = b"") -> dict[str, bytes]:
    """Name of a file -> its content. `hub` is what the hub calls itself, as text; `logo` the picture of HUB_LOGO, empty without
    one."""
    texts = {"hub": html.escape(hub), "logo": _picture(logo)}
    return {
        name: _PAGE.substitute(texts, name=name, title=title, text=text, later=later).encode()
        for name, (title, text, later) in _TEXTS.items()
    }


def _picture(logo: bytes) -> str:
    """The picture as an element that holds it; an SVG runs no script there."""
    if not logo:
        return ""
    return f'<img src="data:{pictures.kind(logo)};base64,{base64.b64encode(logo).decode()}" alt="">'
