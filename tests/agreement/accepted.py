"""Settings of the search's inputs that are accepted, without kinds of servers."""

from __future__ import annotations

from hypothesis import strategies as st

from hubdeploy.errors import InputError
from hubdeploy.settings.declarations import Settings
from tests.search.verdict import loaded
from tests.search.written import written


def accepted() -> st.SearchStrategy[Settings]:
    return written(with_servers=False).map(loaded).filter(lambda found: not isinstance(found, InputError))  # type: ignore[return-value]
