#!/usr/bin/env bash
# Takes a running service through one session's life with curl and jq, and stops at the first wrong answer.
# Usage: SERVICE_KEY=… test/smoke.sh [PUBLIC_URL [INTERNAL_URL]]
# shellcheck disable=SC2016 # the jq programs have variables of their own
set -euo pipefail

public=${1:-http://localhost:8080}
internal=${2:-http://localhost:8081}
: "${SERVICE_KEY:?set SERVICE_KEY to a service key}"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call STATUS CURL-ARGUMENT...: leaves the body in $answer. No answer may come later than in ten seconds.
call() {
  local want=$1 got; shift
  got=$(curl -sS -m 10 -o "$answer" -w '%{http_code}' "$@")
  if [ "$got" != "$want" ]; then
    echo "smoke: ${*: -1}: status $got, want $want" >&2
    exit 1
  fi
}

# field FILTER: what jq finds in the answer; it must be there.
field() { jq -er "$1" "$answer"; }

# expect FILTER [NAME VALUE]: the filter, in which $NAME is the value, must be true of the answer.
expect() {
  jq -e "${@:2}" "$1" "$answer" >/dev/null || { echo "smoke: not true of the answer: $1" >&2; exit 1; }
}

key=(-H "Authorization: Bearer $SERVICE_KEY")
json=(-H 'Content-Type: application/json')
subject="smoke-$$-$RANDOM"

call 201 "${key[@]}" "${json[@]}" -d '{"subject":"'"$subject"'","data":{"cart":[1]},"client":{"label":"smoke test"}}' "$internal/v1/sessions"
access=$(field .access_token) refresh=$(field .refresh_token) id=$(field .session.id)

# A second session of the same subject, which must outlive the first.
call 201 "${key[@]}" "${json[@]}" -d '{"subject":"'"$subject"'","data":{}}' "$internal/v1/sessions"
other=$(field .session.id)

call 200 -H "Authorization: Bearer $access" "$public/v1/me/sessions/current"
expect '.id == $id and (has("data") | not)' --arg id "$id"
call 401 "$public/v1/me/sessions/current"

call 200 "${key[@]}" "$internal/v1/sessions/$id"
expect '.data == {cart: [1]}'
checksum=$(field .checksum)
call 428 "${key[@]}" "${json[@]}" -X PUT -d '{"cart":[1,2]}' "$internal/v1/sessions/$id/data"
call 200 "${key[@]}" "${json[@]}" -X PUT -H "If-Match: \"$checksum\"" -d '{"cart":[1,2]}' "$internal/v1/sessions/$id/data"
call 412 "${key[@]}" "${json[@]}" -X PUT -H "If-Match: \"$checksum\"" -d '{"cart":[3]}' "$internal/v1/sessions/$id/data"

call 200 "${key[@]}" --data-urlencode "token=$access" "$internal/oauth2/introspect"
expect '.active and .session.data == {cart: [1, 2]} and .sub == $subject' --arg subject "$subject"
call 401 --data-urlencode "token=$access" "$internal/oauth2/introspect"

call 200 -d grant_type=refresh_token --data-urlencode "refresh_token=$refresh" "$public/oauth2/token"
expect '.token_type == "Bearer" and .access_token != $access and .refresh_token != $refresh' --arg access "$access" --arg refresh "$refresh"
access=$(field .access_token) refresh=$(field .refresh_token)

call 200 -H "Authorization: Bearer $access" "$public/v1/me/sessions"
expect '[.sessions[].id] == [$other, $id]' --arg other "$other" --arg id "$id"

call 200 --data-urlencode "token=$refresh" "$public/oauth2/revoke"
call 400 -d grant_type=refresh_token --data-urlencode "refresh_token=$refresh" "$public/oauth2/token"
expect '.error == "invalid_grant"'
call 401 -H "Authorization: Bearer $access" "$public/v1/me/sessions/current"
call 200 "${key[@]}" --data-urlencode "token=$access" "$internal/oauth2/introspect"
expect '. == {active: false}'

call 200 "${key[@]}" "$internal/v1/sessions?subject=$subject"
expect '[.sessions[].id] == [$other]' --arg other "$other"
call 204 "${key[@]}" -X DELETE "$internal/v1/sessions/$other"

call 200 "$public/.well-known/jwks.json"
call 404 "${key[@]}" "$public/v1/sessions/$id"
echo "smoke: a session was created, read, changed, refreshed and revoked at $public"
