#!/usr/bin/env bash
# The one thing the tests want that pip cannot bring: PostgreSQL's server programs. They start a cluster of their own
# from them; none is set up or started here. Where nothing may be installed this says so, and the tests go on without.
set -euo pipefail

found() { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
found >/dev/null && exit 0

without() { echo "PostgreSQL's server is not installed and $1: the tests on PostgreSQL are left out (CI=true fails then)."; exit 0; }
command -v apt-get >/dev/null || without "this system has no apt-get"
[ "$(id -u)" = 0 ] || without "only root may install it (apt-get install postgresql)"

echo "Installing PostgreSQL's server for the tests ..."
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
options=(-qq -o DPkg::Lock::Timeout=60 -o Acquire::Retries=2)

# Debian's package makes and starts a cluster when it is installed, unless this file says no.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
apt-get "${options[@]}" update >/dev/null 2>&1 || true
apt-get "${options[@]}" install -y --no-install-recommends postgresql >/dev/null 2>&1 || without "could not be installed"
found >/dev/null || without "its programs were not found after the installation"
