#!/bin/bash
# Fills PREFIX with a Python distribution: install-distribution.sh anaconda|miniforge|wheels PREFIX
# What it installs is pinned: installers by SHA-256, packages by the hashes of the .lock files beside it. PREFIX is root's:
# users' own packages lie in their homes. It leaves nothing else behind.
set -euo pipefail

distribution=$1
prefix=$2
here=$(dirname "$(readlink -f "$0")")
installers=$here/installers
machine=$(uname -m)

case $distribution-$machine in
    anaconda-x86_64)
        installer=Anaconda3-2025.12-2-Linux-x86_64.sh
        pin=57b2b48cc5b8665e25fce7011f0389d47c1288288007844b3b1ba482d4f39029 ;;
    anaconda-aarch64)
        installer=Anaconda3-2025.12-2-Linux-aarch64.sh
        pin=be13a20f31d82508a061984fa3555369cfd8e4692643721415c19e7dc2e9e0f9 ;;
    miniforge-x86_64)
        installer=Miniforge3-26.7.2-0-Linux-x86_64.sh
        pin=281b0ac7d550802efc81af633225a5e6116d29ae72f3ab4eae7168c3931a4c05 ;;
    miniforge-aarch64)
        installer=Miniforge3-26.7.2-0-Linux-aarch64.sh
        pin=89b786c8d2c8b0fda7553914c1314ae4ddaa094503802f279377b19ac4463cb2 ;;
esac
case $distribution in
    anaconda) origin=https://repo.anaconda.com/archive; family='Anaconda*'; other='Miniforge*' ;;
    miniforge) origin=https://github.com/conda-forge/miniforge/releases/download/26.7.2-0; family='Miniforge*'; other='Anaconda*' ;;
esac

fail() { # WANTED FOUND MEND
    printf 'ERROR: wanted %s; found %s; %s\n' "$1" "$2" "$3" >&2
    exit 1
}

require_python() { # PYTHON WHERE MEND
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || fail "Python 3.11 or newer in $2" "$("$1" --version 2>&1)" "$3"
}

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

# The sums of SHA256SUMS for a file name, in both forms that sha256sum writes ("SUM  NAME", "SUM *NAME").
listed_sums() {
    if [ -f "$installers/SHA256SUMS" ]; then
        awk -v name="$1" '!/^#/ { file = $2; sub(/^\*/, "", file); sub(/\r$/, "", file); if (file == name) print tolower($1) }' \
            "$installers/SHA256SUMS"
    fi
}

# Names of the files in installers/ that may be meant for this distribution on this kind of machine.
laid_in() {
    local path name
    for path in "$installers"/*; do
        name=$(basename "$path")
        # shellcheck disable=SC2254  # $other is a pattern
        case $name in
            README | SHA256SUMS | '*') continue ;;
            $other) continue ;;
        esac
        case $machine-$name in
            x86_64-*aarch64* | aarch64-*x86_64*) continue ;;
        esac
        printf '%s\n' "$name"
    done
}

# Of the files laid in, the pinned one, else those that bear the distribution's name, else all.
candidates() {
    local all own
    all=$(laid_in)
    if grep -qxF "$installer" <<<"$all"; then
        printf '%s\n' "$installer"
        return
    fi
    # shellcheck disable=SC2254
    own=$(while read -r name; do case $name in $family) printf '%s\n' "$name" ;; esac; done <<<"$all")
    printf '%s' "${own:-$all}"
}

# Prints the path of an installer that has one of the sums expected of it.
checked_installer() {
    local name expected found path
    name=$(candidates)
    case $name in
        *$'\n'*) fail "one installer in anaconda3/installers" "$(tr '\n' ' ' <<<"$name")" "leave the one to be used" ;;
    esac
    if [ -n "$name" ]; then
        path=$installers/$name
        expected=$(listed_sums "$name")
        if [ "$name" = "$installer" ]; then expected=$(printf '%s\n%s' "$pin" "$expected"); fi
    else
        path=$here/$installer
        expected=$pin
        name=$origin/$installer
        echo "downloading $name" >&2
        curl -fsSL --retry 3 -o "$path" "$name" \
            || fail "the installer $name" "no answer (see above)" \
                "download it elsewhere and lay it in anaconda3/installers, or set PYTHON_DISTRIBUTION=wheels"
    fi
    found=$(sum_of "$path")
    if ! grep -qxF "$found" <<<"$expected"; then
        fail "$name with the SHA-256 $(xargs <<<"${expected:-(none: not in SHA256SUMS)}")" "$found" \
            "lay in the right file, or, if you trust this one, add the line '$found  $(basename "$path")' to anaconda3/installers/SHA256SUMS"
    fi
    printf '%s\n' "$path"
}

run_installer() {
    local file
    file=$(checked_installer)
    bash "$file" -b -p "$prefix"
    if [ -x "$prefix/bin/conda" ]; then "$prefix/bin/conda" clean --all --yes --quiet; fi
    require_python "$prefix/bin/python" "$(basename "$file")" "use a newer installer"
}

# The wheels of a lock file and no others; the installer that does it goes when the build removes its folder.
# python3-venv brings pip as a wheel, which runs as it lies.
install_locked() { # LOCK-FILE
    PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /usr/bin/python3 -m pip install --quiet --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --require-hashes --target "$here/uv" -r "$here/uv.lock"
    "$here/uv/bin/uv" pip install --no-cache --no-config --python "$prefix/bin/python" --only-binary :all: \
        --compile-bytecode --require-hashes -r "$1"
}

require_python /usr/bin/python3 "the base image" "set BASE_IMAGE to one that has it, such as ubuntu:24.04"

case $distribution in
    wheels)
        /usr/bin/python3 -m venv --without-pip "$prefix"
        install_locked "$here/requirements.lock" ;;
    anaconda | miniforge)
        [ -n "${installer:-}" ] || fail "an x86_64 or aarch64 machine for $distribution" "$machine" "set PYTHON_DISTRIBUTION=wheels"
        run_installer
        "$prefix/bin/python" -c 'import ipykernel, ipywidgets, nbformat' 2>/dev/null || install_locked "$here/kernel.lock" ;;
    *)
        fail "anaconda, miniforge or wheels as PYTHON_DISTRIBUTION" "'$distribution'" "set it in .env" ;;
esac
chmod -R go-w "$prefix"
# pip of this prefix: who may not write to it reads so, instead of getting packages in a home that a volume will hide.
printf '[install]\nuser = false\n' > "$prefix/pip.conf"
