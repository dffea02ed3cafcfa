#!/usr/bin/env bash
# Upgrades a running service of an earlier commit, with both programs at once on one database, and goes back: the programs are real, and each passes its own smoke test.
# Usage: test/upgrade.sh [COMMIT]; by default the last release, and while there is none the commit before the newest migration.
set -euo pipefail
cd "$(dirname "$0")/.."

earlier=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null ||
  git rev-parse "$(git log -1 --diff-filter=A --format=%H -- 'migrations/*.sql')^")}
scratch=$(mktemp -d)
chmod 711 "$scratch" # as root, another user runs PostgreSQL
pid='' other=''
trap 'for each in $other $pid; do kill "$each" && wait "$each"; done; rm -rf "$scratch"' EXIT

fail() { echo "upgrade: $*" >&2; exit 1; }

echo "from $(git log -1 --format='%h %s' "$earlier")"
mkdir "$scratch/old" "$scratch/place"
git archive "$earlier" | tar -x -C "$scratch/old"
(cd "$scratch/old" && go build -o "$scratch/earlier" ./cmd/api)
go build -o "$scratch/present" ./cmd/api
# Under both names: an earlier program may not know the prefix, and the present one logs nothing about an old name if there is an equal
# new one.
export VAR_DIR=$scratch/place/var PUBLIC_ADDR=127.0.0.1:8090 INTERNAL_ADDR=127.0.0.1:8091 REFRESH_GRACE=1s
export LATCHKEY_VAR_DIR=$VAR_DIR LATCHKEY_PUBLIC_ADDR=$PUBLIC_ADDR LATCHKEY_INTERNAL_ADDR=$INTERNAL_ADDR LATCHKEY_REFRESH_GRACE=$REFRESH_GRACE
echo '[{"client_id":"agent","audiences":["https://mcp.example.com"]}]' >"$scratch/clients.json"
if "$scratch/earlier" serve --help | grep -q -e --clients-file; then export LATCHKEY_CLIENTS_FILE=$scratch/clients.json; fi

# Where the program that owns the PostgreSQL listens, and where the other one does.
declare -A listens=([owner]="http://$PUBLIC_ADDR http://$INTERNAL_ADDR" [beside]='http://127.0.0.1:8092 http://127.0.0.1:8093')
at() { read -r public internal <<<"${listens[$1]}"; }
at owner

# await PID: until the program is ready, or has ended.
await() {
  for _ in $(seq 300); do
    curl -fs -o "$scratch/ready" "$internal/readyz" && break
    kill -0 "$1" 2>/dev/null || break
    sleep 0.1
  done
}

# serve PROGRAM: starts it, with the PostgreSQL that is in VAR_DIR.
serve() {
  "$scratch/$1" serve >"$scratch/log" 2>&1 &
  pid=$!
  await "$pid"
  SERVICE_KEY=$(cat "$VAR_DIR/service-key")
  export SERVICE_KEY
}

# serve_beside PROGRAM: starts it on the database and with the keys of the one that runs.
serve_beside() {
  local data=$VAR_DIR/postgres/data socket port
  port=$(sed -n 4p "$data/postmaster.pid") socket=$(sed -n 5p "$data/postmaster.pid")
  at beside
  LATCHKEY_DATABASE_URL="postgres://latchkey:$(cat "$data/latchkey.password")@/postgres?host=$socket&port=$port&sslmode=disable" \
    LATCHKEY_SIGNING_KEYS_FILE=$VAR_DIR/signing-keys.json LATCHKEY_SERVICE_KEYS_FILE=$VAR_DIR/service-key \
    LATCHKEY_PUBLIC_ADDR=${public#http://} LATCHKEY_INTERNAL_ADDR=${internal#http://} LATCHKEY_ISSUER=http://$PUBLIC_ADDR \
    LATCHKEY_CLIENTS_FILE=$scratch/clients.json PUBLIC_ADDR=${public#http://} INTERNAL_ADDR=${internal#http://} \
    "$scratch/$1" serve >"$scratch/beside.log" 2>&1 &
  other=$!
  await "$other"
}

stop() { kill "$pid"; wait "$pid" || fail "the service ended badly: $(cat "$scratch/log")"; pid=''; }

stop_beside() { kill "$other"; wait "$other" || fail "the one beside ended badly: $(cat "$scratch/beside.log")"; other=''; }

smoke() { "$1/test/smoke.sh" "$public" "$internal" || { tail -n 20 "$scratch/log" >&2; fail "$2"; }; }

# refresh: exchanges $token for the next one, which there is when the last one is no longer fresh.
refresh() {
  local last=$token
  sleep 4
  made=$(curl -fsS -d grant_type=refresh_token --data-urlencode "refresh_token=$token" "$public/oauth2/token") || fail "$1"
  token=$(jq -er .refresh_token <<<"$made") access=$(jq -er .access_token <<<"$made")
  [ "$token" != "$last" ] || fail "$1: it is the same token"
}

# note NAME: the pair that is in $made.
note() { sessions[$1]=$(jq -er .refresh_token <<<"$made") access=$(jq -er .access_token <<<"$made") issued[$1]=$access; }

# begin NAME BODY: creates one of $sessions.
begin() { create "$2"; note "$1"; ids[$1]=$(jq -er .session.id <<<"$made"); }

# exchange_all FIRST SECOND: refreshes each of $sessions at one program, and at the other sends it again, whose answer
# might have been lost, and asks for what the new access token says.
exchange_all() {
  local name was again
  for name in "${!sessions[@]}"; do
    was=${sessions[$name]}
    at "$1"
    made=$(curl -fsS -d grant_type=refresh_token --data-urlencode "refresh_token=$was" "$public/oauth2/token") || fail "beside each other: $name is signed out at the $1"
    note "$name"
    [ "${sessions[$name]}" != "$was" ] || fail "beside each other: $name has the same token at the $1"
    says "${claims[$name]:-true}" "beside each other: $name does not say what it should at the $1"
    at "$2"
    again=$(curl -fsS -d grant_type=refresh_token --data-urlencode "refresh_token=$was" "$public/oauth2/token") || fail "beside each other: $name is signed out at the $2"
    [ "$(jq -er .refresh_token <<<"$again")" = "${sessions[$name]}" ] || fail "beside each other: $name has another pair at the $2"
    introspect
    jq -e .active <<<"$made" >/dev/null || fail "beside each other: the $2 does not accept what the $1 has issued to $name"
  done
}

# introspect: $access, whose answer is in $made.
introspect() {
  made=$(curl -fsS -H "Authorization: Bearer $SERVICE_KEY" --data-urlencode "token=$access" "$internal/oauth2/introspect") || fail "there is no introspection at $internal"
}

# is_ended NAME WHERE: neither refreshed nor accepted there.
is_ended() {
  at "$2"
  made=$(curl -sS -d grant_type=refresh_token --data-urlencode "refresh_token=${sessions[$1]}" "$public/oauth2/token")
  [ "$(jq -r .error <<<"$made")" = invalid_grant ] || fail "the $2 refreshes $1, which the other has ended"
  access=${issued[$1]}
  introspect
  [ "$(jq -c . <<<"$made")" = '{"active":false}' ] || fail "the $2 accepts $1, which the other has ended"
}

# change PATH BODY: replaces data or claims, with their ETag.
change() {
  local etag
  etag=$(curl -fsSI -H "Authorization: Bearer $SERVICE_KEY" "$internal${1%/data}" | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p') || fail "$1 cannot be read"
  curl -fsS -o "$scratch/changed" -X PUT -H "Authorization: Bearer $SERVICE_KEY" -H 'Content-Type: application/json' -H "If-Match: $etag" -d "$2" "$internal$1" ||
    fail "PUT $1 is refused"
}

# create BODY: makes a session, whose answer is in $made.
create() {
  made=$(curl -fsS -H "Authorization: Bearer $SERVICE_KEY" -H 'Content-Type: application/json' -d "$1" "$internal/v1/sessions") || fail "a session cannot be created: $1"
}

# says FILTER MESSAGE: the newest access token matches the filter.
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
  [[ $said =~ ^present:\ [^$'\n']*'run `present migrate`'$ ]] || fail "on a schema that is behind it said: $said"
fi

# The earlier program keeps running while its schema is migrated, and after that.
"$scratch/present" migrate
smoke "$scratch/old" 'the earlier program, on the present schema'

# Both serve at once, as during a rolling upgrade: each session goes from one to the other, and back.
serve_beside present
declare -A sessions=([ada]=$token) ids=([ada]=$id) issued=() claims=()
for where in owner beside; do
  at "$where"
  for n in 1 2 3; do begin "$where-$n" '{"subject":"eve","data":{"n":0}}'; done
done
begin acted '{"subject":"eve","claims":{"role":"viewer"},"auth_time":1767225600,"acr":"gold","amr":["pwd"],"act":{"sub":"support-7"}}'
claims[acted]='.role == "viewer" and .acr == "gold" and .amr == ["pwd"] and .auth_time == 1767225600 and .act.sub == "support-7"'
begin agent '{"subject":"eve","client_id":"agent","access_token_ttl":60}'
claims[agent]='.client_id == "agent" and .aud == "https://mcp.example.com" and .exp - .iat == 60'
begin replacing '{"subject":"eve","claims":{"role":"editor"},"replaces":"'"${ids[owner-2]}"'"}'
claims[replacing]='.role == "editor"'
is_ended owner-2 owner
unset 'sessions[owner-2]'
for turn in 'owner beside' 'beside owner' 'owner beside' 'beside owner'; do
  sleep 3.2 # then a pair is no longer fresh
  # shellcheck disable=SC2086 # they are two
  exchange_all $turn
  at "${turn% *}"
  change "/v1/sessions/${ids[owner-1]}/data" '{"turn":"'"$turn"'"}'
  if [ "$turn" = 'beside owner' ]; then
    change "/v1/sessions/${ids[beside-1]}/claims" '{"role":"editor"}'
    claims[beside-1]='.role == "editor"'
  fi
done
for ended in 'beside-1 owner beside' 'acted owner beside' 'agent owner beside' 'owner-1 beside owner'; do
  read -r name first second <<<"$ended"
  at "$first"
  curl -fsS -X DELETE -H "Authorization: Bearer $SERVICE_KEY" "$internal/v1/sessions/${ids[$name]}" || fail "the $first does not end $name"
  is_ended "$name" "$second"
done
at owner
curl -fsS -o "$scratch/ended" -X DELETE -H "Authorization: Bearer $SERVICE_KEY" "$internal/v1/sessions?subject=eve" || fail 'the owner does not end the rest'
for name in replacing owner-3 beside-2 beside-3; do is_ended "$name" beside; done
token=${sessions[ada]}
for where in owner beside; do
  at "$where"
  curl -fsS "$internal/metrics" | awk '/^latchkey_(refresh_tokens_stolen|database_errors)_total/ && $NF > 0 { bad = 1 } END { exit bad }' || fail "the $where took a refresh for a theft, or the database failed it"
done
stop_beside
at owner
stop

serve present
smoke . 'the present program'
refresh 'the present program does not refresh what the earlier one issued'

# A session that the earlier program made can get claims, which that program does not support.
change "/v1/sessions/$id/claims" '{"role":"editor"}'
refresh 'a session of the earlier program does not refresh once it has claims'
says '.role == "editor"' 'a session of the earlier program does not tell its claims'
create '{"subject":"bob","replaces":"'"$guest"'","claims":{"role":"viewer"},"auth_time":1767225600,"acr":"gold","amr":["pwd"],"act":{"sub":"support-7"}}'
jq -e '.session.data == {cart: [1]}' <<<"$made" >/dev/null || fail 'a session that replaces one of the earlier program lacks its data'
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

# It has kept the data that it did not know.
serve present
refresh 'the present program does not refresh what the earlier one has refreshed'
says '.role == "viewer" and .acr == "gold" and .amr == ["pwd"] and .auth_time == 1767225600 and .act.sub == "support-7"' 'the earlier program has lost how a user authenticated'
token=$ada
refresh 'the present program does not refresh what the earlier one has refreshed'
says '.role == "editor"' 'the earlier program has lost claims'
stop
echo 'upgraded, and back'
