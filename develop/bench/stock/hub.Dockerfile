# Stock: JupyterHub with configurable-http-proxy in one container.
ARG PARENT
FROM ${PARENT}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv nodejs npm \
 && rm -rf /var/lib/apt/lists/*
RUN npm install --global --no-fund --no-audit --loglevel=error configurable-http-proxy
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
    jupyterhub==6.1.1 dockerspawner==14.0.0 oauthenticator==17.4.0
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /srv/jupyterhub
COPY jupyterhub_config.py ./
CMD ["jupyterhub", "--config=/srv/jupyterhub/jupyterhub_config.py"]
