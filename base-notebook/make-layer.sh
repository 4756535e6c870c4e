#!/bin/bash
# make-layer.sh TARGET: makes, in the image, what users' own packages stand on.
# TARGET/layer is the template of the environment that home.py copies into a user's home; it sees the distribution in
# /opt/conda. TARGET/bin stands in front of /opt/conda/bin: the distribution's Python programs (ipython, pytest …) run on
# the user's layer there, and conda refuses to change what is the image's.
set -euo pipefail

target=$1
distribution=/opt/conda
version=$("$distribution/bin/python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')

"$distribution/bin/python" -m venv --without-pip --system-site-packages "$target/layer"
rm -f "$target"/layer/bin/* "$target/layer/.gitignore"
sed -i '/^command/d' "$target/layer/pyvenv.cfg"
ln -s "$distribution/bin/python" "$target/layer/bin/python"
ln -s python "$target/layer/bin/python3"
ln -s python "$target/layer/bin/$version"
# Where /opt/conda is a virtual environment itself, an environment made from it sees the system's packages instead.
# By addsitedir, as the distribution's own .pth files count, too.
if [ -e "$distribution/pyvenv.cfg" ]; then
    echo "import site; site.addsitedir('$distribution/lib/$version/site-packages')" \
        > "$target/layer/lib/$version/site-packages/_distribution.pth"
fi
# pip is the distribution's. What pip itself installs under these names takes their place.
# shellcheck disable=SC2016  # for the shell that runs it
printf '#!/bin/sh\nexec "${0%%/*}/python" -m pip "$@"\n' > "$target/layer/bin/pip"
cp "$target/layer/bin/pip" "$target/layer/bin/pip3"
chmod 755 "$target"/layer/bin/pip*

mkdir -p "$target/bin"
for program in "$distribution"/bin/*; do
    name=${program##*/}
    case $name in conda* | mamba* | anaconda* | pip* | python* | *activate*) continue ;; esac
    if [ -f "$program" ] && read -r first < "$program" 2>/dev/null && [[ $first == "#!$distribution/bin/python"* ]]; then
        ln -s ../run-on-layer "$target/bin/$name"
    fi
done
for name in conda mamba; do
    if [ -x "$distribution/bin/$name" ]; then ln -s ../keep-base "$target/bin/$name"; fi
done
# Environments that users make are in their homes.
if [ -x "$distribution/bin/conda" ]; then
    printf 'envs_dirs:\n  - ~/.conda/envs\n  - %s/envs\npkgs_dirs:\n  - ~/.conda/pkgs\n  - %s/pkgs\n' \
        "$distribution" "$distribution" >> "$distribution/.condarc"
fi
