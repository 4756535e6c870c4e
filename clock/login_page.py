"""A job: whether a browser would get the login page. The arguments are those of contract/login_page.py."""

from __future__ import annotations

import sys

from contract.login_page import trouble

if __name__ == "__main__":
    wrong = trouble(*sys.argv[1:])
    print(wrong or "comes")
    sys.exit(bool(wrong))
