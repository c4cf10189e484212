#!/bin/sh
# What the container runs: it waits for the database, brings it up to date, and serves.
set -eu

if [ -n "${DATABASE_HOST:-}" ]; then
    until pg_isready --quiet --host "$DATABASE_HOST" --port "${DATABASE_PORT:-5432}" --timeout 5; do
        echo "Waiting for the database at $DATABASE_HOST ..."
        sleep 2
    done
fi
# The health check asks from inside, by this name, whatever the names outside are.
export ALLOWED_HOSTS="${ALLOWED_HOSTS:-*},127.0.0.1"
python3 manage.py migrate --no-input
exec starfish router serve --bind 0.0.0.0:8000 --workers 2
