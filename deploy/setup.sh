#!/bin/sh
# Make a virtual environment with the locked dependencies: setup.sh VENV PYTHON
set -eu
venv=$1
python=$2
command -v "$python" >/dev/null 2>&1 || python=python3
"$python" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || {
    echo "thinslice needs Python 3.11 or newer; '$python' is older. Say which: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
}
if ! "$python" -m venv "$venv" 2>/dev/null; then
    echo "This Python has no venv module: installing python3-venv" >&2
    "$(dirname "$0")/apt.sh" python3-venv
    "$python" -m venv "$venv"
fi
pip="$venv/bin/pip --disable-pip-version-check"
# torch first and from a folder of its own, so that pip checks the hash of whichever build this machine is offered.
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
$pip download -q --no-deps -d "$wheels" torch==2.13.0
$pip install -q --no-deps --no-index --find-links "$wheels" --require-hashes -r requirements/torch.txt
$pip install -q --no-deps --require-hashes -r requirements/runtime.txt -r requirements/dev.txt
$pip install -q --no-deps --no-build-isolation -e .
# The CUDA build also needs the CUDA libraries that it pins itself.
"$venv/bin/python" -c 'import torch' 2>/dev/null || $pip install -q torch==2.13.0
"$venv/bin/thinslice" --version
