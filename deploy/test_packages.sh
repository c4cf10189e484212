#!/usr/bin/env bash
# What the tests want that pip cannot bring: PostgreSQL's server programs, and the program `age`. The tests start a cluster of their
# own; none is set up or started here. Where nothing may be installed this says so, and the tests go on without.
set -euo pipefail

found() {
    case $1 in
    postgresql) command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
    *) command -v "$1" ;;
    esac >/dev/null
}
missing=()
for package in postgresql age; do found "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0

without() { echo "Debian's ${missing[*]} not installed, and $1: the tests that need it are left out (CI=true fails then)."; exit 0; }
command -v apt-get >/dev/null || without "this system has no apt-get"
[ "$(id -u)" = 0 ] || without "only root may install it (apt-get install ${missing[*]})"

echo "Installing ${missing[*]} for the tests ..."
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
options=(-qq -o DPkg::Lock::Timeout=60 -o Acquire::Retries=2)

# Debian's PostgreSQL makes and starts a cluster when it is installed, unless this file says no.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
apt-get "${options[@]}" update >/dev/null 2>&1 || true
for package in "${missing[@]}"; do
    apt-get "${options[@]}" install -y --no-install-recommends "$package" >/dev/null 2>&1 && found "$package" ||
        echo "$package could not be installed: the tests that need it are left out (CI=true fails then)."
done
