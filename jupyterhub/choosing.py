"""The form on which a user chooses a kind of server, in the page of JupyterHub's options of a start."""

from __future__ import annotations

import html
from collections.abc import Sequence

from contract.documents import ServerKind

_ONE = """
<div class="form-check border rounded p-3 ps-5 mb-2">
  <input class="form-check-input" type="radio" name="kind" id="kind-{name}" value="{name}"{checked}>
  <label class="form-check-label d-block" for="kind-{name}"><strong>{title}</strong><br>{text}</label>
</div>
"""


def form(kinds: Sequence[ServerKind], remembered: str) -> str:
    """HTML of the kinds in their order; the one that was chosen last is chosen, else the first."""
    chosen = remembered if remembered in {one.name for one in kinds} else kinds[0].name
    parts = (
        _ONE.format(
            name=one.name,
            checked=" checked" if one.name == chosen else "",
            title=html.escape(one.title),
            text="<br>".join(html.escape(text) for text in (one.description, _limits(one)) if text),
        )
        for one in kinds
    )
    return f'<fieldset><legend class="visually-hidden">Kind of server</legend>{"".join(parts)}</fieldset>'


def _limits(kind: ServerKind) -> str:
    memory = f"{kind.memory_limit / 1024**3:.3g} GB of memory"
    cpus = f", {kind.cpu_limit:g} processor{'' if kind.cpu_limit == 1 else 's'}" if kind.cpu_limit else ""
    gpus = f", {kind.gpus} card{'' if kind.gpus == 1 else 's'} (GPU)" if kind.gpus else ""
    return memory + cpus + gpus
