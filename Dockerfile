# The bridge in a container: built in one stage, run in another that has neither a compiler nor pip's cache.
# Nothing is written but to /var/lib/bridge, so the file system may be read-only:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -v bridge:/var/lib/bridge …
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-serve.lock ./
RUN python -m venv /opt/bridge \
    && /opt/bridge/bin/pip install --no-cache-dir --require-hashes --requirement requirements-serve.lock
COPY pyproject.toml README.md LICENSE ./
COPY bridge bridge
COPY suitetalk_wsdl suitetalk_wsdl
COPY salesforce_metadata salesforce_metadata
RUN /opt/bridge/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/bridge --create-home bridge
COPY --from=build /opt/bridge /opt/bridge
ENV PATH=/opt/bridge/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    BRIDGE_HOST=0.0.0.0 BRIDGE_SECRETS_DIR=/run/secrets BRIDGE_LOG_FORMAT=json \
    BRIDGE_DATABASE_URL=sqlite:////var/lib/bridge/bridge.sqlite3
RUN mkdir -p /run/secrets
USER 10001
WORKDIR /var/lib/bridge
VOLUME /var/lib/bridge
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"BRIDGE_PORT\", 8080)}/readyz', timeout=4)"]
CMD ["bridge", "serve"]
