# Stock: a notebook image as most recipes make one.
ARG PARENT
FROM ${PARENT}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check jupyterlab notebook jupyterhub==6.1.1
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --uid 1000 --create-home --shell /bin/bash jovyan \
 && install --directory --owner=1000 --group=1000 /home/jovyan/work
USER 1000
WORKDIR /home/jovyan
CMD ["jupyterhub-singleuser"]
