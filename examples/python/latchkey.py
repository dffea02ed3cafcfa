"""Latchkey's internal API for Python backends. Copy this file; it needs httpx."""
import random
import time
import uuid

import httpx

CREATED = {"access_token": str, "session": dict}  # it may have no refresh token
PAIR = {"access_token": str, "refresh_token": str}


class LatchkeyError(Exception):
    """A refusal, with the service's code; or no answer, with the status 0; or one that is not the service's. It has no key or token in it."""

    def __init__(self, status, code, detail="", request_id=None, retry_after=None, resent=False):
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code, self.request_id, self.retry_after, self.resent = status, code, request_id, retry_after, resent

    @property
    def unavailable(self):
        """Nothing is known about the token or the session: answer 503, never 401."""
        return self.status < 400 or self.status == 429 or self.status >= 500


class Sessions:
    """The internal API. One object serves all threads; public, the public listener's address, is needed for refresh alone."""

    def __init__(self, internal, service_key, *, public=None, timeout=5.0, retries=2):
        self._http, self._retries, self._public = httpx.Client(timeout=timeout), retries, public  # httpx follows no redirects
        self._internal, self._key = internal, {"Authorization": "Bearer " + service_key}

    def create(self, *, idempotency_key=None, **session):
        """Make a session and its tokens: create(subject="ada", data={}). An answer that gets lost makes no second one."""
        key = {"Idempotency-Key": f'"{idempotency_key or uuid.uuid4()}"'}
        return self._call("POST", "/v1/sessions", CREATED, json=session, headers=key)

    def introspect(self, token, *, confirm=True):
        """Return the claims and the session, or {"active": False}. Without confirm, where this request has refreshed the token itself."""
        form = {"token": token} if confirm else {"token": token, "confirm": "false"}
        return self._call("POST", "/oauth2/introspect", {"active": bool}, data=form) if token else {"active": False}

    def refresh(self, refresh_token):
        """Exchange a refresh token. Only the code invalid_grant means that the session is over."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._call("POST", "/oauth2/token", PAIR, base=self._public, headers={}, data=form)

    def get(self, session):
        return self._call("GET", f"/v1/sessions/{uuid.UUID(str(session))}", {"id": str})

    def put_data(self, session, version, data):
        """Replace the data if it has that version (checksum) still, and return the new one; otherwise: checksum_mismatch."""
        try:
            path, headers = f"/v1/sessions/{uuid.UUID(str(session))}/data", {"If-Match": f'"{version}"'}
            return self._call("PUT", path, {"checksum": str}, json=data, headers=headers)["checksum"]
        except LatchkeyError as error:
            if error.code == "checksum_mismatch" and error.resent:
                now = self.get(session)
                if now["data"] == data:  # it was this very write, whose answer was lost
                    return now["checksum"]
            raise

    def update(self, session, change, attempts=10):
        """Store what change makes of the data. It is called again if someone else has written meanwhile."""
        for attempt in range(1, attempts + 1):
            now = self.get(session)
            data = change(now["data"])
            try:
                self.put_data(session, now["checksum"], data)
                return data
            except LatchkeyError as error:
                # After a write that may have been stored, to begin again could make the change twice.
                if error.code != "checksum_mismatch" or error.resent or attempt == attempts:
                    raise
            time.sleep(random.random() * 0.02 * attempt)

    def end(self, session):
        self._call("DELETE", f"/v1/sessions/{uuid.UUID(str(session))}")

    def end_all(self, subject):
        return self._call("DELETE", "/v1/sessions", {"revoked": int}, params={"subject": subject})["revoked"]

    def revocations(self, since=None, shard=0):
        """Read one document of the feed, which latchkey_verifier follows."""
        params = {name: value for name, value in {"since": since, "shard": shard}.items() if value}
        return self._call("GET", "/v1/revocations", {"cursor": str}, params=params)

    def _call(self, method, path, members=None, *, base=None, headers=None, **body):
        """Return the JSON of the answer, which must have these members: something on the way may answer with JSON, too."""
        resent = False
        headers = {**self._key, **(headers or {})} if base is None else headers
        for attempt in range(self._retries + 1):
            try:
                answer = self._http.request(method, (base or self._internal) + path, headers=headers, **body)
                if answer.is_success:
                    return _body(answer, members or {}, resent)
                error = _refusal(answer, resent)
            except httpx.TransportError as cause:
                error = LatchkeyError(0, "no_answer", type(cause).__name__, resent=resent)
            wait = error.retry_after or 0.1 * 2**attempt * (0.5 + random.random())
            if error.status not in (0, 408, 429, 502, 503, 504) or attempt == self._retries or wait > 2:
                raise error
            resent = resent or error.status != 429
            time.sleep(wait)


def _body(answer, members, resent):
    try:
        body = answer.json() if members else {}
        if all(isinstance(body[name], kind) for name, kind in members.items()):
            return body
    except (ValueError, TypeError, LookupError):
        pass
    raise LatchkeyError(answer.status_code, "unexpected_answer", "not the service's", resent=resent)


def _refusal(answer, resent):
    try:
        problem = dict(answer.json())
    except (ValueError, TypeError):
        problem = {}
    code = problem.get("code") or problem.get("error") or "unexpected_answer"
    if problem.get("error") == "invalid_token":  # what introspection says of the key, not of the token
        code = "invalid_service_key"
    detail = problem.get("detail") or problem.get("error_description") or problem.get("title") or ""
    wait = answer.headers.get("Retry-After", "")
    return LatchkeyError(answer.status_code, code, detail, answer.headers.get("X-Request-Id"), int(wait) if wait.isdecimal() else None, resent)
