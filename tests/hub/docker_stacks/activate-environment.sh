#!/bin/bash
# Where theirs activates conda's environment.
. "$CONDA_DIR/bin/activate"
