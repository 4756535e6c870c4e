#!/bin/bash
# To be sourced with one folder: its *.sh are sourced, its programs run. A hook that fails is reported and skipped.
for hook in "$1"/*; do
    if [ ! -e "$hook" ]; then continue; fi
    # shellcheck source=/dev/null
    case $hook in
        *.sh) . "$hook" || echo "WARNING: the hook $hook failed" ;;
        *) if [ -x "$hook" ]; then "$hook" || echo "WARNING: the hook $hook failed"; fi ;;
    esac
done
