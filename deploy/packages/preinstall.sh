#!/bin/sh
# Before the files are there, so that they can belong to the group.
set -e
getent group latchkey >/dev/null || groupadd --system latchkey
getent passwd latchkey >/dev/null ||
  useradd --system --gid latchkey --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin latchkey
