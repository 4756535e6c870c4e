#!/bin/bash
# create-user.sh NAME UID DIRECTORY: makes the image's user NAME, with the number UID, and DIRECTORY in its home.
# A person's account with that name or number is removed (ubuntu:24.04 has one), a system account never.
set -euo pipefail

name=$1
uid=$2
directory=$3

account() { getent passwd "$1" | cut -d: -f1; }

for taken in "$(account "$name" || true)" "$(account "$uid" || true)"; do
    if [ -z "$taken" ] || ! getent passwd "$taken" >/dev/null; then continue; fi
    number=$(id -u "$taken")
    if [ "$number" -lt 1000 ] || [ "$taken" = nobody ]; then
        echo "ERROR: wanted a user $name with the number $uid; found the base image's system account $taken ($number);" \
            "set NB_USER or NB_UID to another value" >&2
        exit 1
    fi
    home=$(getent passwd "$taken" | cut -d: -f6)
    userdel "$taken"
    case $home in /home/?*) rm -rf "$home" ;; esac
done

useradd --no-log-init --create-home --home-dir "/home/$name" --shell /bin/bash --uid "$uid" --gid users "$name"
# Each folder on the way belongs to the user, not only the last one.
runuser -u "$name" -- mkdir -p "$directory"
