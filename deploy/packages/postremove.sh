#!/bin/sh
# Only dpkg --purge removes the settings and keys. The sessions in PostgreSQL stay, and so does the user, so that no other user gets its number.
set -e
[ "$1" != purge ] || rm -rf /etc/latchkey
[ ! -d /run/systemd/system ] || systemctl daemon-reload
