#!/usr/bin/env python
"""Runs the hub's single-user server, on all addresses unless told otherwise."""

import os
import shlex
import sys

told = os.environ.get("NOTEBOOK_ARGS", "")
address = [] if "--ip=" in told else ["--ip=0.0.0.0"]
command = ["jupyterhub-singleuser", *address, *shlex.split(told), *sys.argv[1:]]
os.execvp(command[0], command)
