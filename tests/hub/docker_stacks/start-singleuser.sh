#!/bin/bash
# The old name of start-singleuser.py.
exec /usr/local/bin/start-singleuser.py "$@"
