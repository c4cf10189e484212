# The Routing Server in a container. Checked by parsing alone where this repository is built (no container engine there).
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    POETRY_VIRTUALENVS_IN_PROJECT=true \
    POETRY_NO_INTERACTION=1
# pg_dump and psql for backup and restore; they find the database by PGHOST and PGPASSWORD, which docker-compose.yml sets.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir "poetry>=2.1,<3"

WORKDIR /starfish/app
COPY pyproject.toml poetry.lock README.md LICENSE ./
RUN poetry install --only main --no-root --no-cache
COPY manage.py ./
COPY starfish ./starfish
RUN poetry install --only main --no-cache

RUN useradd --system --home-dir /starfish starfish \
    && mkdir -p /starfish/artifacts \
    && chown -R starfish:starfish /starfish/artifacts
USER starfish
ENV ARTIFACTS_DIR=/starfish/artifacts \
    STARFISH_CONTAINER=true
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["poetry", "run", "python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["poetry", "run", "starfish", "router", "serve", "--bind", "0.0.0.0:8000", "--workers", "2"]
