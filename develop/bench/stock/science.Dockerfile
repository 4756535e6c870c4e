# Stock: the notebook image with the scientific packages that ours has too.
ARG PARENT
FROM ${PARENT}
USER root
COPY requirements.in /tmp/
RUN /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -r /tmp/requirements.in
USER 1000
