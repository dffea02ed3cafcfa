#!/usr/bin/env bash
# Installs the .deb in a clean Debian with Debian's PostgreSQL, runs the service as its unit does, upgrades it to the next version and goes back.
# Then the same under a systemd that has booted, which enforces all that the unit says; and with the .rpm, by rpm's own means but in the same Debian: no distribution that uses .rpm, no dnf and no SELinux takes part.
# Usage: test/packages.sh FOLDER NEXT_FOLDER, as root: what `make release-snapshot` built, twice. Needs debootstrap, systemd-container, rpm, iproute2, curl and jq.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "packages: $*" >&2; exit 1; }

[ $# = 2 ] || fail 'name two folders with packages'
[ "$(id -u)" = 0 ] || fail 'only root can install packages'
package=$(readlink -f "$1"/latchkey_*_linux_"$(dpkg --print-architecture)".deb) next=$(readlink -f "$2"/latchkey_*_linux_"$(dpkg --print-architecture)".deb)
rpm_package=${package%.deb}.rpm rpm_next=${next%.deb}.rpm

# under_systemd boots the Debian that has been left for it, installs the packages there as docs/releases.md says, and has systemd run the service.
under_systemd() {
  local booted=$PACKAGES_ROOT/booted
  chroot "$booted" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends systemd-sysv curl jq >"$PACKAGES_ROOT/log" 2>&1 ||
    { tail "$PACKAGES_ROOT/log" >&2; fail 'systemd cannot be installed'; }
  cp "$package" "$booted/root/latchkey.deb"
  cp "$next" "$booted/root/next.deb"
  cp test/smoke.sh "$booted/root/"
  cat >"$booted/root/try" <<'END'
#!/bin/bash
set -euxo pipefail
smoke() { # VERSION
  for _ in $(seq 600); do curl -fs -o /dev/null http://localhost:8081/readyz && break; sleep 0.1; done
  [ "$(/proc/"$(systemctl show -p MainPID --value latchkey)"/exe version)" = "v$1" ]
  SERVICE_KEY=$(cat /etc/latchkey/service-key) /root/smoke.sh
}
migrate() { runuser -u latchkey -- env LATCHKEY_DATABASE_URL_FILE=/etc/latchkey/database-url latchkey migrate; }
dpkg --install /root/latchkey.deb
systemctl start postgresql
runuser -u postgres -- psql -q -c 'CREATE ROLE latchkey LOGIN' -c 'CREATE DATABASE latchkey OWNER latchkey'
cd /etc/latchkey
umask 077
echo 'postgres:///latchkey?host=/run/postgresql' >database-url
latchkey keys generate >signing-keys.json
head -c 32 /dev/urandom | base64 >service-key
chgrp latchkey database-url signing-keys.json service-key
chmod 640 database-url signing-keys.json service-key
echo LATCHKEY_ISSUER=http://localhost:8080 >>latchkey.env
migrate
systemctl enable --now latchkey
smoke "$FIRST"
grep -E '^(CapEff|CapBnd):[[:space:]]0+$' "/proc/$(systemctl show -p MainPID --value latchkey)/status" | [ "$(wc -l)" = 2 ]
grep -E '^Seccomp:[[:space:]]2$' "/proc/$(systemctl show -p MainPID --value latchkey)/status"
systemctl reload latchkey
dpkg --install /root/next.deb
smoke "$FIRST" # until it is restarted
migrate
systemctl restart latchkey
smoke "$NEXT"
dpkg --install /root/latchkey.deb
systemctl restart latchkey
smoke "$FIRST"
[ "$(systemctl show -p NRestarts --value latchkey)" = 0 ]
dpkg --remove latchkey
if systemctl is-active latchkey || systemctl is-enabled latchkey; then exit 1; fi
touch /root/passed
END
  chmod 755 "$booted/root/try"
  cat >"$booted/etc/systemd/system/try.service" <<END
[Unit]
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
Environment=FIRST=$(version_of "$package") NEXT=$(version_of "$next") HOME=/root
ExecStart=/root/try
StandardOutput=file:/root/log
StandardError=file:/root/log
TimeoutStartSec=600
[Install]
WantedBy=graphical.target
END
  chroot "$booted" systemctl --quiet enable try.service
  chroot "$booted" systemctl --quiet set-default graphical.target
  timeout 900 systemd-nspawn --quiet --boot --directory="$booted" --register=no --keep-unit --private-network </dev/null >"$PACKAGES_ROOT/log" 2>&1 || true
  [ -e "$booted/root/passed" ] || { tail -n 20 "$PACKAGES_ROOT/log" "$booted/root/log" >&2; fail 'the service did not pass under systemd'; }
}
version_of() { local name; name=$(basename "$1"); name=${name#latchkey_}; echo "${name%_linux_*}"; }

# In a network and among processes of its own: it is in nobody's way, and whatever it started ends with it.
if [ -z "${PACKAGES_ROOT:-}" ]; then
  for folder in "$1" "$2"; do
    (cd "$folder" && sha256sum --check --quiet checksums.txt) || fail "the checksums in $folder are wrong"
    jq -e '[.components[].name] | index("github.com/jackc/pgx/v5")' "$folder"/latchkey_*.cdx.json >/dev/null || fail "the SBOM in $folder does not name pgx"
    tar -tf "$folder"/latchkey_*.tar.gz latchkey >/dev/null || fail "the archive in $folder has no program"
  done
  PACKAGES_ROOT=$(mktemp -d)
  trap 'rm -rf --one-file-system "$PACKAGES_ROOT"' EXIT
  export PACKAGES_ROOT
  mkdir "$PACKAGES_ROOT/debian" "$PACKAGES_ROOT/read-only"
  debootstrap --variant=minbase --include=postgresql "${DEBIAN_SUITE:-bookworm}" "$PACKAGES_ROOT/debian" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
    >"$PACKAGES_ROOT/log" 2>&1 || { tail "$PACKAGES_ROOT/log" >&2; fail 'debootstrap failed'; }
  cp -a "$PACKAGES_ROOT/debian" "$PACKAGES_ROOT/booted"
  unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
  under_systemd
  echo 'packages: both installed, upgraded, taken back, removed; the unit under systemd too'
  exit
fi
ip link set lo up
debian=$PACKAGES_ROOT/debian
mount -t proc proc "$debian/proc"
mount --rbind /dev "$debian/dev"
in_debian() { chroot "$debian" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }

install_package() {
  cp "$1" "$debian/tmp/latchkey.deb"
  in_debian dpkg --install /tmp/latchkey.deb >"$PACKAGES_ROOT/log" 2>&1 || { cat "$PACKAGES_ROOT/log" >&2; fail "$(basename "$1") cannot be installed"; }
}

# install_rpm FILE FLAG...: as `rpm --install` or `rpm --upgrade` would. Debian's database of packages cannot fulfil what the package requires.
install_rpm() {
  local file=$1
  shift
  run_rpm "$@" "$file" || fail "$(basename "$file") cannot be installed"
}
run_rpm() {
  rpm --root "$debian" --dbpath /var/lib/rpm --force-debian --nodeps "$@" >"$PACKAGES_ROOT/log" 2>&1 || { cat "$PACKAGES_ROOT/log" >&2; return 1; }
}

# systemctl_said COMMANDS: what the packages' scripts told systemd since the last time, which a program in its place writes down.
systemctl_said() {
  local said
  said=$(sort -u "$debian/systemctl.log" 2>/dev/null || true)
  [ "$said" = "$(printf '%s\n' "$@" | sort -u)" ] || fail "the scripts told systemctl: ${said:-nothing}; they should have told it: $*"
  rm -f "$debian/systemctl.log"
}

# unit KEY: what the installed unit says.
unit() { sed -n "s/^$1=//p" "$debian/usr/lib/systemd/system/latchkey.service"; }

# as_service COMMAND...: becomes the command, with the user, rights, settings and files of the unit. Only systemd could do all that it says.
as_service() {
  local settings
  mapfile -t settings < <(grep -v '^#' "$debian$(unit EnvironmentFile)" | grep .)
  exec chroot "$PACKAGES_ROOT/read-only" setpriv --reuid="$(unit User)" --regid="$(unit Group)" --clear-groups --no-new-privs --bounding-set=-all \
    env -i PATH=/usr/bin:/bin "${settings[@]}" bash -c 'umask "$0"; exec "$@"' "$(unit UMask)" "$@"
}

# smoke VERSION: the service starts, is that version, takes a session through its life, and stops on SIGTERM.
smoke() {
  local pid
  [ "$(in_debian latchkey version)" = "v$1" ] || fail "latchkey version is not v$1"
  # shellcheck disable=SC2046 # they are several words
  as_service $(unit ExecStart) >"$PACKAGES_ROOT/log" 2>&1 &
  pid=$!
  for _ in $(seq 600); do
    curl -fs -o /dev/null http://localhost:8081/readyz && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  SERVICE_KEY=$(cat "$debian/etc/latchkey/service-key") test/smoke.sh || { cat "$PACKAGES_ROOT/log" >&2; fail "v$1 did not pass"; }
  kill "$pid"
  wait "$pid" || { cat "$PACKAGES_ROOT/log" >&2; fail "v$1 ended badly"; }
}

# check_files: what both packages install.
check_files() {
  [ "$(in_debian stat -c '%a %U %G' /etc/latchkey)" = '750 root latchkey' ] || fail '/etc/latchkey is open to others'
  [ "$(in_debian stat -c '%a %U %G' /etc/latchkey/latchkey.env)" = '640 root latchkey' ] || fail 'the settings are open to others'
  [ "$(in_debian stat -c '%a %U %G' /usr/bin/latchkey)" = '755 root root' ] || fail 'the program is not 755'
  [ "$(in_debian getent passwd latchkey | cut -d: -f6,7)" = /nonexistent:/usr/sbin/nologin ] || fail 'the user can log in'
  cmp "$debian/usr/lib/systemd/system/latchkey.service" deploy/systemd/latchkey.service || fail 'the unit is another one'
}

# systemd does not run here; the scripts assume that it does.
mkdir -p "$debian/run/systemd/system"
printf '#!/bin/sh\necho "$*" >>/systemctl.log\n' >"$debian/usr/bin/systemctl"
chmod 755 "$debian/usr/bin/systemctl"

install_package "$package"
systemctl_said daemon-reload
check_files

# As docs/operations.md says.
in_debian pg_ctlcluster "$(ls "$debian/etc/postgresql")" main start
in_debian setpriv --reuid=postgres --regid=postgres --init-groups psql -q \
  -c 'CREATE ROLE latchkey LOGIN' -c 'CREATE DATABASE latchkey OWNER latchkey'
in_debian bash -c 'umask 077; cd /etc/latchkey
  echo "postgres:///latchkey?host=/run/postgresql" >database-url
  latchkey keys generate >signing-keys.json
  head -c 32 /dev/urandom | base64 >service-key
  chgrp latchkey database-url signing-keys.json service-key; chmod 640 database-url signing-keys.json service-key'
echo LATCHKEY_ISSUER=http://localhost:8080 >>"$debian/etc/latchkey/latchkey.env"
settings=$(cat "$debian/etc/latchkey/latchkey.env")

# The service finds a file system that it cannot write to.
mount --rbind "$debian" "$PACKAGES_ROOT/read-only"
mount -o remount,bind,ro "$PACKAGES_ROOT/read-only"

(as_service latchkey migrate)
smoke "$(version_of "$package")"
install_package "$next"
smoke "$(version_of "$next")"
install_package "$package"
smoke "$(version_of "$package")"
systemctl_said daemon-reload
[ "$(cat "$debian/etc/latchkey/latchkey.env")" = "$settings" ] || fail 'the settings were lost on the way'

in_debian dpkg --remove latchkey >"$PACKAGES_ROOT/log" 2>&1 || { cat "$PACKAGES_ROOT/log" >&2; fail 'it cannot be removed'; }
[ -e "$debian/etc/latchkey/signing-keys.json" ] || fail 'removing it took the keys away'
[ ! -e "$debian/usr/bin/latchkey" ] || fail 'removing it left the program'
systemctl_said 'disable --now latchkey.service' daemon-reload
cp -a "$debian/etc/latchkey" "$PACKAGES_ROOT/settings"
in_debian dpkg --purge latchkey >"$PACKAGES_ROOT/log" 2>&1 || { cat "$PACKAGES_ROOT/log" >&2; fail 'it cannot be purged'; }
[ ! -e "$debian/etc/latchkey" ] || fail 'purging it left settings or keys'

# The .rpm makes its own user.
in_debian userdel latchkey
rm -f "$debian/systemctl.log"
for program in $(rpm --query --package --requires "$rpm_package" | grep ^/); do
  [ -x "$debian$program" ] || fail "the .rpm requires $program, which is not there"
done
install_rpm "$rpm_package" --install
systemctl_said daemon-reload
check_files
cmp "$debian/etc/latchkey/latchkey.env" deploy/packages/latchkey.env || fail 'the .rpm brings other settings'
for file in database-url signing-keys.json service-key latchkey.env; do
  cp "$PACKAGES_ROOT/settings/$file" "$debian/etc/latchkey/$file"
  in_debian chgrp latchkey "/etc/latchkey/$file"
  in_debian chmod 640 "/etc/latchkey/$file"
done
smoke "$(version_of "$package")"
install_rpm "$rpm_next" --upgrade
smoke "$(version_of "$next")"
install_rpm "$rpm_package" --upgrade --oldpackage
smoke "$(version_of "$package")"
systemctl_said daemon-reload
[ "$(cat "$debian/etc/latchkey/latchkey.env")" = "$settings" ] || fail 'the settings were lost on the way'
run_rpm --erase latchkey || fail 'the .rpm cannot be removed'
systemctl_said 'disable --now latchkey.service' daemon-reload
[ ! -e "$debian/usr/bin/latchkey" ] || fail 'removing the .rpm left the program'
[ -e "$debian/etc/latchkey/signing-keys.json" ] || fail 'removing the .rpm took the keys away'
[ "$(cat "$debian/etc/latchkey/latchkey.env.rpmsave")" = "$settings" ] || fail 'removing the .rpm took the settings away'
