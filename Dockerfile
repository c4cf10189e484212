# The Routing Server in a container. Where this repository is built there is no container engine: this file was read by
# tests, never by Docker. Its steps were rehearsed by hand, as an ordinary user, against a real PostgreSQL.

FROM python:3.11-slim-bookworm AS build
ENV POETRY_VIRTUALENVS_IN_PROJECT=true \
    POETRY_NO_INTERACTION=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /starfish/app
RUN python3 -m venv /opt/poetry \
    && /opt/poetry/bin/pip install "poetry>=2.1,<3" \
    && python3 -m venv .venv
# The locked packages first, so that a change of our own code does not install them anew.
COPY pyproject.toml poetry.lock README.md LICENSE ./
RUN /opt/poetry/bin/poetry install --only main --no-root --no-cache
COPY starfish ./starfish
RUN /opt/poetry/bin/poetry install --only main --no-cache

# Debian 12's client is PostgreSQL 15's, as the server of docker-compose.yml: a dump of one restores into the other.
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home starfish \
    && install --directory --owner starfish --group starfish /starfish/artifacts
COPY --from=build /opt/poetry /opt/poetry
RUN ln -s /opt/poetry/bin/poetry /usr/local/bin/poetry
COPY --from=build /starfish/app /starfish/app
WORKDIR /starfish/app
COPY manage.py ./
COPY deploy/container.sh ./deploy/
ENV PATH=/starfish/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ARTIFACTS_DIR=/starfish/artifacts \
    STARFISH_CONTAINER=true
USER starfish
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["sh", "deploy/container.sh"]
