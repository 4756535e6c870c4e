#!/bin/bash
# Where theirs activates conda's environment.
# shellcheck source=/dev/null
. "$CONDA_DIR/bin/activate"
