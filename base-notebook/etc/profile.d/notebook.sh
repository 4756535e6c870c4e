# For login shells, which forget the PATH of the image (the build writes it here) and what home.py put in front of it.
PATH=/usr/local/lib/notebook/bin:@PATH@
[ -z "${NOTEBOOK_PYTHON:-}" ] || PATH=${NOTEBOOK_PYTHON%/*}:$PATH
export PATH
if [ -f /opt/conda/etc/profile.d/conda.sh ]; then
    . /opt/conda/etc/profile.d/conda.sh
    export CONDA_EXE=/usr/local/lib/notebook/bin/conda
fi
