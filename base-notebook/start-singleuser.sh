#!/bin/bash
# Starts the user's server, always as NB_USER. Started as root, it first makes NB_USER the owner of home and notebook
# folder and, with GRANT_SUDO=yes, lets NB_USER use sudo; then it drops to NB_USER for good. As root it follows no link
# and runs nothing below the home. It runs no command that is not needed: each would delay every start.
set -euo pipefail

server=(/opt/jupyter/bin/python /usr/local/lib/notebook/singleuser.py "$@")
export USER=$NB_USER LOGNAME=$NB_USER HOME=/home/$NB_USER SHELL=/bin/bash

if [ "$EUID" -ne 0 ]; then
    exec "${server[@]}"
fi

# Commands that run as root have their full path: the user can write to the first folder of PATH.
for folder in "$HOME" "$NOTEBOOK_DIR"; do
    if [ -O "$folder" ] && [ ! -L "$folder" ]; then
        /bin/chown --no-dereference "$NB_UID:users" "$folder"
    fi
done
drop=(/usr/bin/setpriv --reuid "$NB_UID" --regid users --init-groups --inh-caps=-all)
if [ "${GRANT_SUDO:-}" = yes ]; then
    umask 0337
    printf 'Defaults:%s secure_path="%s"\n%s ALL=(ALL) NOPASSWD: ALL\n' \
        "$NB_USER" "$PATH" "$NB_USER" > /etc/sudoers.d/notebook-user
    umask 0022
else
    drop+=(--no-new-privs)
fi
exec "${drop[@]}" -- "${server[@]}"
