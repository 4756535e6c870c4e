#!/bin/bash
# The stand-in's entry point. Launched as root it makes the image's user NB_USER, in name, number, home and rights, and
# runs the command as that user; launched as anybody else it runs the command.
set -e

image_user=jovyan
if [ $# -eq 0 ]; then set -- bash; fi

said_yes() { [ "$1" = yes ] || [ "$1" = 1 ]; }

rename_user() {
    if id "$image_user" >/dev/null 2>&1; then
        usermod --login "$NB_USER" --home "/home/$NB_USER" "$image_user"
    elif ! id "$NB_USER" >/dev/null 2>&1; then
        echo "ERROR: there is neither $image_user nor $NB_USER; was this container started before under another NB_USER?"
        exit 1
    fi
    if [ "$(id -u "$NB_USER")" != "$NB_UID" ] || [ "$(id -g "$NB_USER")" != "$NB_GID" ]; then
        if [ "$(id -g "$NB_USER")" != "$NB_GID" ]; then
            groupadd --force --non-unique --gid "$NB_GID" "${NB_GROUP:-$NB_USER}"
        fi
        userdel "$NB_USER"
        useradd --no-log-init --home "/home/$NB_USER" --shell /bin/bash --uid "$NB_UID" --gid "$NB_GID" --groups 100 "$NB_USER"
    fi
}

# A home that is there already (a volume's mount point makes one) is left as it is found.
move_home() {
    if [ "$NB_USER" = "$image_user" ]; then return; fi
    if [ ! -e "/home/$NB_USER" ]; then
        mkdir "/home/$NB_USER"
        cp -a "/home/$image_user/." "/home/$NB_USER/" || ln -s "/home/$image_user" "/home/$NB_USER"
    fi
    case $PWD/ in
        "/home/$image_user/"*) cd "/home/$NB_USER/${PWD#"/home/$image_user"}" ;;
    esac
}

# Options stay unquoted: they are several words.
hand_over() {
    # shellcheck disable=SC2086
    if said_yes "$CHOWN_HOME"; then chown $CHOWN_HOME_OPTS "$NB_UID:$NB_GID" "/home/$NB_USER"; fi
    for folder in ${CHOWN_EXTRA//,/ }; do
        # shellcheck disable=SC2086
        chown $CHOWN_EXTRA_OPTS "$NB_UID:$NB_GID" "$folder"
    done
}

# What sudo runs is looked up in secure_path, also for the drop to NB_USER below.
write_sudo_rules() {
    sed -rn "s#^Defaults\s+secure_path\s*=\s*\"?([^\"]+)\"?#Defaults secure_path=\"$CONDA_DIR/bin:\1\"#p" /etc/sudoers \
        > /etc/sudoers.d/path
    if said_yes "$GRANT_SUDO"; then
        echo "$NB_USER ALL=(ALL) NOPASSWD:ALL" >> /etc/sudoers.d/added-by-start-script
    fi
}

unset_variables() {
    for variable in ${JUPYTER_ENV_VARS_TO_UNSET//,/ }; do unset "$variable"; done
    unset JUPYTER_ENV_VARS_TO_UNSET
}

# shellcheck source=/dev/null
hooks() { . /usr/local/bin/run-hooks.sh "/usr/local/bin/$1"; }

hooks start-notebook.d
if [ "$(id -u)" -ne 0 ]; then
    if said_yes "$GRANT_SUDO"; then echo "WARNING: sudo can be granted only by a container that was started as root"; fi
    hooks before-notebook.d
    unset_variables
    exec "$@"
fi

rename_user
move_home
hand_over
export XDG_CACHE_HOME="/home/$NB_USER/.cache"
write_sudo_rules
hooks before-notebook.d
unset_variables
exec sudo --preserve-env --set-home --user "$NB_USER" \
    LD_LIBRARY_PATH="$LD_LIBRARY_PATH" PATH="$PATH" PYTHONPATH="$PYTHONPATH" "$@"
