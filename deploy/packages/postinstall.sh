#!/bin/sh
# Nothing is started: a new service has no database yet, and the schema is migrated before an old one is restarted.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
