#!/bin/sh
# Only dpkg --purge takes the settings and keys away. The sessions are in PostgreSQL, and stay. So does the user, lest another be given its number.
set -e
[ "$1" != purge ] || rm -rf /etc/latchkey
[ ! -d /run/systemd/system ] || systemctl daemon-reload
