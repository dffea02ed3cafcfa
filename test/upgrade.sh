#!/usr/bin/env bash
# Upgrades a running service of an earlier commit, and goes back: the programs are real, and each passes its own smoke test.
# Usage: test/upgrade.sh [COMMIT]; by default the last release, and while there is none the commit before the newest migration.
set -euo pipefail
cd "$(dirname "$0")/.."

earlier=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null ||
  git rev-parse "$(git log -1 --diff-filter=A --format=%H -- 'migrations/*.sql')^")}
scratch=$(mktemp -d)
chmod 711 "$scratch" # as root, another user runs PostgreSQL
pid=''
trap '[ -z "$pid" ] || kill "$pid" && wait; rm -rf "$scratch"' EXIT

fail() { echo "upgrade: $*" >&2; exit 1; }

echo "from $(git log -1 --format='%h %s' "$earlier")"
mkdir "$scratch/old" "$scratch/place"
git archive "$earlier" | tar -x -C "$scratch/old"
(cd "$scratch/old" && go build -o "$scratch/earlier" ./cmd/api)
go build -o "$scratch/present" ./cmd/api
# Under both names: an earlier program may not know the prefix, and the present one logs nothing of an old name beside an equal new one.
export VAR_DIR=$scratch/place/var PUBLIC_ADDR=127.0.0.1:8090 INTERNAL_ADDR=127.0.0.1:8091 REFRESH_GRACE=1s
export LATCHKEY_VAR_DIR=$VAR_DIR LATCHKEY_PUBLIC_ADDR=$PUBLIC_ADDR LATCHKEY_INTERNAL_ADDR=$INTERNAL_ADDR LATCHKEY_REFRESH_GRACE=$REFRESH_GRACE
public=http://$PUBLIC_ADDR internal=http://$INTERNAL_ADDR

# serve PROGRAM: starts it, with the PostgreSQL that is in VAR_DIR.
serve() {
  "$scratch/$1" serve >"$scratch/log" 2>&1 &
  pid=$!
  for _ in $(seq 300); do
    curl -fs -o "$scratch/ready" "$internal/readyz" && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  SERVICE_KEY=$(cat "$VAR_DIR/service-key")
  export SERVICE_KEY
}

stop() { kill "$pid"; wait "$pid" || fail "the service ended badly: $(cat "$scratch/log")"; pid=''; }

smoke() { "$1/test/smoke.sh" "$public" "$internal" || { tail -n 20 "$scratch/log" >&2; fail "$2"; }; }

# refresh: exchanges $token for the next one, which there is when the last one is no longer fresh.
refresh() {
  local last=$token
  sleep 4
  made=$(curl -fsS -d grant_type=refresh_token --data-urlencode "refresh_token=$token" "$public/oauth2/token") || fail "$1"
  token=$(jq -er .refresh_token <<<"$made") access=$(jq -er .access_token <<<"$made")
  [ "$token" != "$last" ] || fail "$1: it is the same token"
}

# create BODY: makes a session, whose answer is in $made.
create() {
  made=$(curl -fsS -H "Authorization: Bearer $SERVICE_KEY" -H 'Content-Type: application/json' -d "$1" "$internal/v1/sessions") || fail "a session cannot be created: $1"
}

# says FILTER MESSAGE: the newest access token says what the filter wants.
says() { jq -Rre 'split(".")[1] | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | '"$1" <<<"$access" >/dev/null || fail "$2"; }

serve earlier
smoke "$scratch/old" 'the earlier program, on its own schema'
create '{"subject":"ada","data":{"kept":true}}'
token=$(jq -er .refresh_token <<<"$made") id=$(jq -er .session.id <<<"$made")
create '{"data":{"cart":[1]}}'
guest=$(jq -er .refresh_token <<<"$made")

if [ "$(cd "$scratch/old" && echo migrations/*.sql)" != "$(echo migrations/*.sql)" ]; then
  if said=$("$scratch/present" cleanup 2>&1); then fail 'the present program works on a schema that is behind'; fi
  # shellcheck disable=SC2016 # the backticks are its own
  [[ $said =~ ^api:\ [^$'\n']*'run `api migrate`'$ ]] || fail "on a schema that is behind it said: $said"
fi

# The earlier program goes on while its schema is migrated, and after that.
"$scratch/present" migrate
smoke "$scratch/old" 'the earlier program, on the present schema'
refresh 'the earlier program does not refresh on the present schema'
stop

serve present
smoke . 'the present program'
refresh 'the present program does not refresh what the earlier one issued'

# A session that the earlier program made learns to say what that knows nothing of.
etag=$(curl -fsSI -H "Authorization: Bearer $SERVICE_KEY" "$internal/v1/sessions/$id/claims" | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
curl -fsS -o "$scratch/claims" -X PUT -H "Authorization: Bearer $SERVICE_KEY" -H 'Content-Type: application/json' -H "If-Match: $etag" \
  -d '{"role":"editor"}' "$internal/v1/sessions/$id/claims" || fail 'a session of the earlier program gets no claims'
refresh 'a session of the earlier program does not refresh once it has claims'
says '.role == "editor"' 'a session of the earlier program does not tell its claims'
create '{"subject":"bob","replaces":"'"$guest"'","claims":{"role":"viewer"},"auth_time":1767225600,"acr":"gold","amr":["pwd"],"act":{"sub":"support-7"}}'
jq -e '.session.data == {cart: [1]}' <<<"$made" >/dev/null || fail 'a session that replaces one of the earlier program has not its data'
acted=$(jq -er .refresh_token <<<"$made")
stop

serve earlier
smoke "$scratch/old" 'the earlier program, once more'
refresh 'the earlier program does not refresh what the present one issued'
if curl -fsS -o "$scratch/guest" -d grant_type=refresh_token --data-urlencode "refresh_token=$guest" "$public/oauth2/token" 2>/dev/null; then
  fail 'the earlier program refreshes a session that was replaced'
fi
ada=$token token=$acted
refresh 'the earlier program does not refresh a session that says more than it knows'
acted=$token
stop

# What it did not know it has kept.
serve present
refresh 'the present program does not refresh what the earlier one has refreshed'
says '.role == "viewer" and .acr == "gold" and .amr == ["pwd"] and .auth_time == 1767225600 and .act.sub == "support-7"' 'the earlier program has lost how a user authenticated'
token=$ada
refresh 'the present program does not refresh what the earlier one has refreshed'
says '.role == "editor"' 'the earlier program has lost claims'
stop
echo 'upgraded, and back'
