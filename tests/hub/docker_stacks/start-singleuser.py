#!/usr/bin/env python
"""Runs the hub's single-user server, on all addresses unless the hub names others."""

import os
import shlex
import sys

arguments = os.environ.get("NOTEBOOK_ARGS", "")
address = [] if "--ip=" in arguments else ["--ip=0.0.0.0"]
command = ["jupyterhub-singleuser", *address, *shlex.split(arguments), *sys.argv[1:]]
os.execvp(command[0], command)
