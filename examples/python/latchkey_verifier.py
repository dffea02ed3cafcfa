"""Checks Latchkey's access tokens without asking anyone. Copy this file beside latchkey.py; it needs PyJWT with cryptography."""
import threading
import time

import httpx
import jwt

from latchkey import LatchkeyError, Sessions

LEEWAY = 5  # seconds
KEYS_EVERY = 300  # seconds between two looks: a key that was revoked is not accepted for longer
KEYS_PAUSE = 10  # seconds between two looks for a key that is not known: anyone can make a token with one
FAILED_PAUSE = 1  # seconds after a look that failed


class InvalidToken(Exception):
    """The token is no good: 401."""


class Verifier:
    """Follows what was revoked, in a thread for each shard, and asks about a token where it knows less than bound seconds ago.

    Make one in each process, after it has forked. docs/edge.md says why each step is as it is.
    """

    def __init__(self, internal, service_key, issuer, audience, *, keys=None, bound=1.0, timeout=1.0):
        self._issuer, self._audience, self._bound = issuer, audience, bound
        self._asked = Sessions(internal, service_key, timeout=timeout, retries=0)
        self._url, self._keys, self._lock = keys or issuer + "/.well-known/jwks.json", {}, threading.Lock()
        self._next_look, self._found = 0, False  # whether the last look found keys
        self._closed = threading.Event()
        threading.Thread(target=self._follow_keys, daemon=True).start()
        feed = Sessions(internal, service_key, timeout=max(2 * bound, 2), retries=0)
        self._shards = {0: _Shard(feed, 0, lambda shards: self._are(feed, shards))}
        self._shards[0].start()

    def close(self):
        self._closed.set()
        self._are(None, [])
        self._shards[0].close()

    def age(self):
        """How many seconds ago all that was revoked was known: on that clock on which it is more, of that shard of which it is longest ago."""
        return max(shard.age() for shard in list(self._shards.values()))

    def verify(self, token):
        """Return the claims. Raises InvalidToken (401), or LatchkeyError (503) where nobody can tell."""
        options = {"require": ["exp", "iat", "jti", "sid", "iss", "aud"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as cause:
            raise InvalidToken("not valid") from cause
        key, algorithm = self._key(header.get("kid"))
        try:
            claims = jwt.decode(token, key, [algorithm], options, audience=self._audience, issuer=self._issuer)
            exp, iat, era, (pair, _, generation) = int(claims["exp"]), int(claims["iat"]), int(claims.get("latchkey_era", 0)), claims["jti"].partition(".a")
            # The 12 bits after the version of a UUIDv8 are the session's shard; every other id is of the first.
            shard = self._shards.get(int(claims["sid"][15:18], 16) if claims["sid"][14:15] == "8" else 0)
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as cause:
            raise InvalidToken("not valid") from cause
        # By the service's clock. A token with cnf is bound to a key, and worth nothing without a proof of it.
        if header.get("typ") != "at+jwt" or exp + LEEWAY <= self._shards[0].now() or "cnf" in claims:
            raise InvalidToken("not valid")
        revoked, superseded, eras = shard.told if shard else ({}, {}, {})
        ended = [before for below, (before, *_) in list(eras.items()) if era < below]
        if any(iat < before for before in ended):
            raise InvalidToken("revoked")
        if claims["sid"] in revoked or (generation.isdecimal() and int(generation) < superseded.get(pair, (0, 0))[0]):
            raise InvalidToken("revoked")
        if (not shard or ended or exp + 60 < shard.since or shard.age() > self._bound) and not self._asked.introspect(token)["active"]:
            raise InvalidToken("revoked")
        return claims

    def _are(self, feed, numbers):
        for number in [number for number in self._shards if number and number not in numbers]:
            self._shards.pop(number).close()
        for number in numbers:
            if number not in self._shards:
                self._shards[number] = _Shard(feed, number)
                self._shards[number].start()

    def _key(self, kid):
        if kid not in self._keys and not self._look(kid):
            raise LatchkeyError(0, "no_answer", "the keys cannot be fetched")
        try:
            return self._keys[kid]
        except KeyError:
            raise InvalidToken("an unknown key") from None

    def _look(self, kid):
        """Look for a key. Meanwhile nobody waits but those with such a key."""
        with self._lock:
            if kid not in self._keys and time.monotonic() >= self._next_look:
                self._fetch()
            return kid in self._keys or self._found

    def _follow_keys(self):
        while not self._closed.wait(KEYS_EVERY):
            with self._lock:
                self._fetch()

    def _fetch(self):
        """Keys that are known stay in use while they cannot be fetched."""
        try:
            answer = httpx.get(self._url, timeout=5)
            answer.raise_for_status()
            found = {key["kid"]: (jwt.PyJWK(key).key, key["alg"]) for key in answer.json()["keys"]}
            self._keys, self._found = found or self._keys, bool(found)
        except (httpx.HTTPError, ValueError, TypeError, LookupError, jwt.PyJWTError):
            self._found = False
        self._next_look = time.monotonic() + (KEYS_PAUSE if self._found else FAILED_PAUSE)


class _Shard(threading.Thread):
    """What was revoked in one shard, and when all of it was known: of a shard that cannot be followed, only the sessions are asked about."""

    def __init__(self, feed, number, are=lambda shards: None):
        super().__init__(daemon=True)
        self._feed, self._number, self._are, self._closed = feed, number, are, threading.Event()
        self.told, self._loading, self.since, self._cursor = ({}, {}, {}), None, 0, None
        self._proof, self._clock = None, None

    def close(self):
        self._closed.set()

    def age(self):
        proof = self._proof
        return max(time.monotonic() - proof[0], time.time() - proof[1]) if proof else float("inf")

    def now(self):
        clock = self._clock
        return clock[0] + time.monotonic() - clock[1] if clock else time.time()

    def run(self):
        pause = 0.05
        while not self._closed.is_set():
            sent = time.monotonic(), time.time()  # what the proofs count from
            try:
                part = self._feed.revocations(self._cursor, self._number)
                self._take(part, sent)
                self._are(part.get("shards", ()))
                pause = 0.05
            except Exception:  # whatever it is: what is known gets older, and tokens are asked about
                self._closed.wait(pause)
                pause = min(2 * pause, 2)

    def _take(self, part, sent):
        if part.get("reset"):
            self._loading = ({}, {}, {})
        revoked, superseded, eras = self._loading or self.told
        for one in part["sessions"]:
            revoked[one["id"]] = one["until"]
        for one in part.get("superseded", ()):
            below, until = superseded.get(one["pair"], (0, 0))
            superseded[one["pair"]] = max(below, one["below"]), max(until, one["until"])
        for one in part.get("eras", ()):  # everyone was signed out
            eras[one["below"]] = one["before"], one["until"], False
        self._cursor = part["cursor"]
        if "complete_ms" not in part:
            return  # more follows
        if self._loading:  # a revocation is final, also where the database has lost it
            for session, until in self.told[0].items():
                if until >= part["from"]:
                    revoked[session] = max(until, revoked.get(session, 0))
            for below, (before, until, _) in self.told[2].items():
                if until >= part["from"] and below not in eras:
                    eras[below] = before, until, True
            self.told, self._loading, self.since = self._loading, None, 0
        self.since = max(self.since, part["from"])
        complete = part["complete_ms"] / 1000
        self._proof = sent[0] + complete, sent[1] + complete
        if "now" in part:  # it was told after the proof and before it was read here: take the middle
            read = time.monotonic()
            self._clock = part["now"] / 1000, (min(self._proof[0], read) + read) / 2
        for session in [session for session, until in list(revoked.items()) if until < self.since]:
            del revoked[session]
        for pair in [pair for pair, (_, until) in list(superseded.items()) if until < self.since]:
            del superseded[pair]
        # The latest that the service has is never forgotten.
        last = max((below for below, (_, _, kept) in eras.items() if not kept), default=0)
        for below in [below for below, (_, until, kept) in list(eras.items()) if below < last or kept and until < self.since]:
            del eras[below]
