"""examples/python against the built service, whose addresses are in the environment."""
import json
import os
import re
import sys
import threading
import time
import traceback
import unittest
import uuid
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, os.environ["EXAMPLE"])
from latchkey import LatchkeyError, Sessions  # noqa: E402
import latchkey_verifier  # noqa: E402
from latchkey_verifier import InvalidToken, Verifier  # noqa: E402

INTERNAL, ISSUER, KEY = os.environ["INTERNAL"], os.environ["ISSUER"], os.environ["SERVICE_KEY"]
OTHER_KEY = os.environ["OTHER_KEY"]  # may introspect only


def sessions(internal=INTERNAL, key=KEY, **more):
    return Sessions(internal, key, public=ISSUER, **more)


class Network:
    """Passes requests on. next is given each method first: "lost" loses the answer, a number or a text is the answer, a function runs before it.

    Requests whose path has what is silent are answered with 503.
    """

    def __init__(self, test, internal=INTERNAL):
        network, self.count, self.next, self.silent = self, 0, lambda method: None, None

        class Handler(BaseHTTPRequestHandler):
            def do(self):
                network.count += 1
                fate = 503 if network.silent and network.silent in self.path else network.next(self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if isinstance(fate, int):
                    self.send_response(fate)
                    self.send_header("Retry-After", "1" if fate == 503 else "30")
                    self.end_headers()
                    return
                if isinstance(fate, bytes):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(fate)
                    return
                address = urlsplit(internal)
                service = HTTPConnection(address.hostname, address.port)
                service.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "host"})
                answer = service.getresponse()
                text = answer.read()
                service.close()
                if callable(fate):
                    fate()
                if fate:  # lost
                    return
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = do

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def lose(self, method):
        fates = ["lost"]
        self.next = lambda sent: fates.pop() if fates and sent == method else None


class TestSessions(unittest.TestCase):
    def refused(self, code, status, call):
        with self.assertRaises(LatchkeyError) as caught:
            call()
        error = caught.exception
        self.assertEqual((error.code, error.status), (code, status), error)
        text = "".join(traceback.format_exception(error))
        for key in (KEY, OTHER_KEY):
            self.assertNotIn(key, text)
        return error

    def test_life(self):
        client, subject = sessions(), str(uuid.uuid4())
        created = client.create(subject=subject, data={"n": 1}, client={"label": "Firefox"})
        session = created["session"]["id"]
        answer = client.introspect(created["access_token"])
        self.assertEqual((answer["sub"], answer["session"]["data"]), (subject, {"n": 1}))
        self.assertEqual(client.introspect(created["refresh_token"]), {"active": False})
        self.assertEqual(client.introspect(""), {"active": False})
        version = client.put_data(session, client.get(session)["checksum"], {"n": 2})
        self.assertEqual(client.get(session)["checksum"], version)
        self.assertEqual(client.update(session, lambda data: {"n": data["n"] + 1}), {"n": 3})
        pair = client.refresh(created["refresh_token"])
        self.assertTrue(client.introspect(pair["access_token"], confirm=False)["active"])
        client.end(session)
        client.end(session)
        self.assertFalse(client.introspect(pair["access_token"])["active"])
        self.refused("invalid_grant", 400, lambda: client.refresh(pair["refresh_token"]))
        client.create(subject=subject)
        self.assertEqual((client.end_all(subject), client.end_all(subject)), (1, 0))

    def test_parallel_updates(self):
        client = sessions()
        session = client.create(data={"n": 0})["session"]["id"]
        threads = [threading.Thread(target=client.update, args=(session, lambda data: {"n": data["n"] + 1})) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(client.get(session)["data"], {"n": 6})

    def test_refusals(self):
        client, unknown = sessions(), uuid.uuid4()
        live, ended, full = client.create(), client.create(), str(uuid.uuid4())
        client.end(ended["session"]["id"])
        for _ in range(5):
            client.create(subject=full)
        key = str(uuid.uuid4())
        client.create(idempotency_key=key)
        session, version = live["session"]["id"], live["session"]["checksum"]
        wrong = sessions(key="another-key-that-nobody-has-given-out")
        for code, status, call in (
            ("invalid_service_key", 401, lambda: wrong.get(session)),
            ("invalid_service_key", 401, lambda: wrong.introspect("x")),
            ("missing_right", 403, lambda: sessions(key=OTHER_KEY).get(session)),
            ("unauthorized_client", 403, lambda: sessions(key=OTHER_KEY + "-reads").introspect("x")),
            ("session_not_found", 404, lambda: client.get(unknown)),
            ("session_ended", 409, lambda: client.put_data(ended["session"]["id"], ended["session"]["checksum"], {"a": 1})),
            ("checksum_mismatch", 412, lambda: client.put_data(session, "x", {"a": 1})),
            ("body_too_large", 413, lambda: client.put_data(session, version, {"a": "x" * 70_000})),
            ("invalid_parameter", 400, lambda: client.end_all("")),
            ("invalid_member", 400, lambda: client.create(subject=7)),
            ("unknown_member", 400, lambda: client.create(colour="red")),
            ("not_replaceable", 409, lambda: client.create(replaces=ended["session"]["id"])),
            ("too_many_sessions", 409, lambda: client.create(subject=full)),
            ("idempotency_key_reused", 422, lambda: client.create(data={"a": 1}, idempotency_key=key)),
            ("invalid_grant", 400, lambda: client.refresh("x")),
        ):
            with self.subTest(code):
                error = self.refused(code, status, call)
                self.assertRegex(error.request_id, "^[0-9a-f]{32}$")
                self.assertFalse(error.unavailable)
        with self.assertRaises(ValueError):
            client.end("..")
        with self.assertRaises(LatchkeyError) as caught:
            sessions(key=KEY + "\n").get(session)
        self.assertNotIn(KEY, "".join(traceback.format_exception(caught.exception)))

    def test_lost_answers(self):
        network, direct, subject = Network(self), sessions(), str(uuid.uuid4())
        client = sessions(network.url)
        network.lose("POST")
        session = client.create(subject=subject, data={"n": 0})["session"]["id"]
        network.lose("PUT")
        self.assertEqual(client.update(session, lambda data: {"n": data["n"] + 1}), {"n": 1})
        self.assertEqual(direct.get(session)["data"], {"n": 1})
        between = [lambda: direct.update(session, lambda data: {"n": data["n"] + 10})]
        network.next = lambda method: between.pop() if between and method == "PUT" else None
        error = self.refused("checksum_mismatch", 412, lambda: client.update(session, lambda data: {"n": data["n"] + 1}))
        self.assertTrue(error.resent)
        self.assertEqual(direct.get(session)["data"], {"n": 12})
        network.lose("DELETE")
        client.end(session)
        self.assertEqual(direct.end_all(subject), 0, "one session was made")

    def test_unavailable(self):
        network = Network(self)
        client, session = sessions(network.url), uuid.uuid4()
        for fate, count in ((503, 3), (429, 1), (500, 1)):  # the second says to wait for half a minute
            network.count, network.next = 0, lambda method, fate=fate: fate
            error = self.refused("unexpected_answer", fate, lambda: client.get(session))
            self.assertEqual((network.count, error.unavailable), (count, True))
        network.next = lambda method: "lost"
        self.assertTrue(self.refused("no_answer", 0, lambda: sessions(network.url, retries=0).get(session)).unavailable)

    def test_no_refresh_token(self):
        created = sessions().create(subject="ann", refresh_token=False)
        self.assertNotIn("refresh_token", created)
        self.assertTrue(sessions().introspect(created["access_token"])["active"])

    def test_answers_of_others(self):
        network = Network(self)
        client = Sessions(network.url, KEY, public=network.url)
        for text in (b"<html>", b'{"active":tr', b"{}", b"null", b"[]", b'"active"', b'{"message":"down"}', b'{"active":null}', b'{"access_token":"a"}'):
            network.next = lambda method, text=text: text
            for call in (lambda: client.introspect("x"), lambda: client.refresh("x"), lambda: client.create()):
                self.assertTrue(self.refused("unexpected_answer", 200, call).unavailable, text)


class TestVerifier(unittest.TestCase):
    def verifier(self, internal=INTERNAL, **more):
        options = {"issuer": ISSUER, "audience": os.environ["AUDIENCE"], "timeout": 30, **more}
        verifier = Verifier(internal, KEY, **options)
        self.addCleanup(verifier.close)
        return verifier

    def until(self, what):
        for _ in range(3000):
            if what():
                return
            time.sleep(0.01)
        self.fail("timed out waiting")

    def refuses(self, verifier, token):
        try:
            verifier.verify(token)
        except InvalidToken:
            return True
        return False

    def test_tokens(self):
        client, verifier = sessions(), self.verifier()
        live, bound = client.create(data={}), client.create(dpop_jkt="BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc")
        token = live["access_token"]
        self.assertEqual(verifier.verify(token)["sid"], live["session"]["id"])
        header, claims, _ = token.split(".")
        kid = jwt.get_unverified_header(token)["kid"]
        said = jwt.decode(token, options={"verify_signature": False})
        forged = jwt.encode(said, "x" * 32, "HS256", {"kid": kid, "typ": "at+jwt"})
        unsigned = jwt.encode(said, None, "none", {"kid": kid, "typ": "at+jwt"})
        for wrong in ("", "x", token[:-8] + "AAAAAAAA", f"{header}.{claims}.", forged, unsigned, live["refresh_token"], bound["access_token"], f"{token},{token}"):
            self.assertTrue(self.refuses(verifier, wrong), wrong)
        for options in ({"issuer": "https://other.example", "keys": ISSUER + "/.well-known/jwks.json"}, {"audience": "other"}):
            self.assertTrue(self.refuses(self.verifier(**options), token), options)

    def test_expired(self):
        verifier = self.verifier(bound=3600)
        self.until(lambda: verifier.age() < 3600)
        token = sessions().create()["access_token"]
        verifier.verify(token)
        now, ahead = verifier._shards[0].now, 0
        verifier._shards[0].now = lambda: now() + ahead
        ahead = 10
        verifier.verify(token)
        ahead = 21  # the token lives for 15 seconds, and its leeway is 5
        self.assertTrue(self.refuses(verifier, token))

    def test_claims(self):
        verifier, key = self.verifier(bound=3600), ec.generate_private_key(ec.SECP256R1())
        self.until(lambda: verifier.age() < 3600)
        verifier._keys = {"own": (key.public_key(), "ES256")}
        now = int(verifier._shards[0].now())
        good = {"iss": ISSUER, "aud": ["x", os.environ["AUDIENCE"]], "exp": now + 60, "iat": now + 30, "jti": "x.a0", "sid": "x"}

        def refused(typ="at+jwt", algorithm="ES256", **changed):
            claims = {name: value for name, value in {**good, **changed}.items() if value is not None}
            return self.refuses(verifier, jwt.encode(claims, key, algorithm, {"kid": "own", "typ": typ}))

        self.assertFalse(refused(), "a token from the future was signed, too")
        for wrong in ({"typ": "JWT"}, {"typ": "rt+jwt"}, {"algorithm": "ES512"}, {"cnf": {"jkt": "x"}}, {"jti": 7}, {"exp": "soon"}, {"iss": "x"}, {"aud": "x"}):
            self.assertTrue(refused(**wrong), wrong)
        for missing in good:
            self.assertTrue(refused(**{missing: None}), missing)

    def test_revocations(self):
        client, verifier = sessions(), self.verifier(bound=3600)  # so that it does not ask once it knows
        ended, changed, live = (client.create(access_token_ttl=600) for _ in range(3))
        self.until(lambda: verifier.age() < 3600)
        for created in (ended, changed, live):
            verifier.verify(created["access_token"])
        client.end(ended["session"]["id"])
        supersede(changed["session"]["id"])
        self.until(lambda: self.refuses(verifier, ended["access_token"]))
        self.until(lambda: self.refuses(verifier, changed["access_token"]))
        verifier.verify(client.refresh(changed["refresh_token"])["access_token"])
        verifier.verify(live["access_token"])
        later = self.verifier(bound=3600)
        self.until(lambda: later.age() < 3600)
        self.assertTrue(self.refuses(later, ended["access_token"]))
        self.assertTrue(self.refuses(later, changed["access_token"]))
        later.verify(live["access_token"])

    def test_sets(self):
        verifier = self.verifier("http://127.0.0.1:1")
        verifier.close()
        shard = verifier._shards[0]

        def take(**part):
            shard._take({"cursor": "c", "sessions": [], "from": 0, **part}, (time.monotonic(), time.time()))
            return [set(told) for told in shard.told]

        def revoked(session, until):
            return [{"id": session, "until": until}]

        def superseded(pair, below):
            return [{"pair": pair, "below": below, "until": 300}]

        self.assertEqual(take(reset=True, more=True, sessions=revoked("a", 100)), [set(), set(), set()])
        self.assertEqual(verifier.age(), float("inf"), "a part proves nothing")
        self.assertEqual(take(complete_ms=-1000, sessions=revoked("b", 300), superseded=superseded("p", 3)), [{"a", "b"}, {"p"}, set()])
        self.assertGreaterEqual(verifier.age(), 1)
        take(complete_ms=0, superseded=superseded("p", 2))
        self.assertEqual(shard.told[1]["p"][0], 3)
        self.assertEqual(take(reset=True, more=True, sessions=revoked("c", 300)), [{"a", "b"}, {"p"}, set()])
        self.assertEqual(take(complete_ms=0, **{"from": 200}), [{"b", "c"}, set(), set()], "a revocation is final, but for what has expired")
        self.assertEqual(take(complete_ms=0, eras=[{"below": 1, "before": 50, "until": 400}])[2], {1})
        self.assertEqual(take(complete_ms=0, eras=[{"below": 2, "before": 60, "until": 500}])[2], {2}, "the last sign-out counts")
        self.assertEqual(take(complete_ms=0, **{"from": 600})[2], {2}, "and is never forgotten")
        self.assertEqual(take(reset=True, complete_ms=0, eras=[{"below": 1, "before": 50, "until": 400}], **{"from": 300})[2], {1, 2}, "not even where the database has lost it")
        self.assertEqual(take(complete_ms=0, **{"from": 501})[2], {1}, "until no token from before is left")

    def test_asks(self):
        network = Network(self)
        client, verifier = sessions(), self.verifier(network.url, bound=0)
        live, ended = client.create(access_token_ttl=600), client.create(access_token_ttl=600)
        verifier.verify(live["access_token"])
        network.next = lambda method: 503 if method == "GET" else None  # the feed, not the question
        self.until(lambda: verifier.age() > 0.5)
        client.end(ended["session"]["id"])
        self.assertTrue(self.refuses(verifier, ended["access_token"]))
        verifier.verify(live["access_token"])
        network.next = lambda method: 503
        for unsure in (verifier, self.verifier(keys="http://127.0.0.1:1/")):
            with self.assertRaises(LatchkeyError) as caught:
                unsure.verify(live["access_token"])
            self.assertTrue(caught.exception.unavailable)

    def test_answers_of_others(self):
        network, created = Network(self), sessions().create(access_token_ttl=600)
        verifier = self.verifier(network.url, bound=0, keys=network.url + "/.well-known/jwks.json")  # asks about each token
        texts = b"<html>", b"{}", b"null", b"[]", b'{"keys":{}}', b'{"keys":[{}]}', b'{"keys":[{"kid":"x","alg":"x","kty":"x"}]}'
        for text in texts:
            network.next = lambda method, text=text: text
            with self.assertRaises(LatchkeyError) as caught:
                verifier.verify(created["access_token"])
            self.assertTrue(caught.exception.unavailable, text)
            verifier._next_look = 0
        verifier = self.verifier(network.url, bound=0)
        network.next = lambda method: None
        verifier.verify(created["access_token"])
        for text in texts:
            network.next = lambda method, text=text: text
            with self.assertRaises(LatchkeyError) as caught:
                verifier.verify(created["access_token"])
            self.assertTrue(caught.exception.unavailable, text)

    def test_revoked_key(self):
        network, live = Network(self, ISSUER), sessions().create(access_token_ttl=600)
        every, latchkey_verifier.KEYS_EVERY = latchkey_verifier.KEYS_EVERY, 0.05
        try:
            verifier = self.verifier(bound=3600, keys=network.url + "/.well-known/jwks.json")
            self.until(lambda: verifier.age() < 3600)
            verifier.verify(live["access_token"])
            network.next = lambda method: 503
            asked = network.count
            self.until(lambda: network.count > asked + 1)
            verifier.verify(live["access_token"])  # known keys stay in use
            other = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
            text = json.dumps({"keys": [{**other, "kid": "other", "alg": "ES256"}]}).encode()
            network.next = lambda method: text
            self.until(lambda: self.refuses(verifier, live["access_token"]))
            verifier.close()
        finally:
            latchkey_verifier.KEYS_EVERY = every

    def test_slow_keys(self):
        """Nobody waits for a key that someone made up."""
        verifier, live, network = self.verifier(bound=3600), sessions().create(access_token_ttl=600), Network(self, ISSUER)
        self.until(lambda: verifier.age() < 3600)
        verifier.verify(live["access_token"])
        asked, answer = threading.Event(), threading.Event()
        network.next = lambda method: (asked.set(), answer.wait(60), 503)[2]
        verifier._url, verifier._next_look = network.url, 0
        unknown = jwt.encode({}, "x" * 32, "HS256", {"kid": "unknown", "typ": "at+jwt"})
        results = []

        def ask():
            try:
                results.append(self.refuses(verifier, unknown))
            except LatchkeyError as error:
                results.append(error.unavailable and "unavailable")

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        self.assertTrue(asked.wait(60))
        known = threading.Thread(target=verifier.verify, args=(live["access_token"],), daemon=True)
        known.start()
        known.join(4)  # the answer takes longer
        self.assertFalse(known.is_alive())
        answer.set()
        for thread in threads:
            thread.join()
        self.assertEqual(results, ["unavailable"] * 5)
        self.assertLess(network.count, 5, "not each of them looks")

    def test_shards(self):
        network = Network(self, os.environ["SHARDED_INTERNAL"])
        client = sessions(network.url)

        def of_each():
            found = {}
            while len(found) < 3:
                created = client.create(subject=str(uuid.uuid4()), access_token_ttl=600)
                found[uuid.UUID(created["session"]["id"]).bytes[6:8].hex()[1:] if created["session"]["id"][14] == "8" else "000"] = created
            return [found[shard] for shard in sorted(found)]

        def verifier():
            made = self.verifier(network.url, issuer=os.environ["SHARDED_ISSUER"], bound=3600)  # so that it does not ask once it knows
            self.until(lambda: made.age() < 3600)
            return made

        early = verifier()
        ended, live = of_each(), of_each()
        for created in ended + live:
            early.verify(created["access_token"])
        for created in ended:
            client.end(created["session"]["id"])
            self.until(lambda: self.refuses(early, created["access_token"]))
        late = verifier()
        for created in ended:
            self.assertTrue(self.refuses(late, created["access_token"]))
        for created in live:
            late.verify(created["access_token"])
            early.verify(created["access_token"])

        network.silent = "shard=1"
        network.next = lambda method: 503 if method == "POST" else None  # no question is answered
        deaf = self.verifier(network.url, issuer=os.environ["SHARDED_ISSUER"], bound=3600)
        for created in (live[0], live[2]):
            self.until(lambda: self.accepts(deaf, created["access_token"]))
        for _ in range(20):
            with self.assertRaises(LatchkeyError):
                deaf.verify(live[1]["access_token"])
        network.next = lambda method: None
        deaf.verify(live[1]["access_token"])
        client.end(live[1]["session"]["id"])
        self.assertTrue(self.refuses(deaf, live[1]["access_token"]), "only those of the other shards are not asked about")
        network.silent = None

        signed_in = of_each()
        for created in signed_in:
            early.verify(created["access_token"])
        time.sleep(1.1)  # the sign-out is of a second, and so is the making of a token
        httpx.post(os.environ["SIGN_OUT_ALL"], timeout=60).raise_for_status()
        for created in signed_in:
            self.until(lambda: self.refuses(early, created["access_token"]))
        for created in of_each():
            early.verify(created["access_token"])

    def accepts(self, verifier, token):
        try:
            verifier.verify(token)
        except LatchkeyError:
            return False
        return True


def supersede(session):
    """Have the session's access tokens refused while it goes on."""
    url, key = f"{INTERNAL}/v1/sessions/{session}/claims", {"Authorization": "Bearer " + KEY}
    version = httpx.get(url, headers=key).headers["ETag"]
    httpx.put(url, params={"supersede": "true"}, json={}, headers={**key, "If-Match": version}).raise_for_status()


class TestFastAPI(unittest.TestCase):
    def test_readme(self):
        from fastapi.testclient import TestClient

        with open(os.environ["EXAMPLE"] + "/README.md", encoding="utf-8") as file:
            code = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)[1]
        made = {"service_key": KEY}
        exec(compile(code.replace("http://127.0.0.1:8081", INTERNAL), "README.md", "exec"), made)
        site = TestClient(made["app"])
        client = sessions()
        created = client.create(data={"cart": [7]})
        bound = client.create(dpop_jkt="BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc")

        def get(authorization):
            answer = site.get("/cart", headers={"Authorization": authorization} if authorization else {})
            return answer.status_code, answer.headers.get("WWW-Authenticate")

        self.assertEqual(site.get("/cart", headers={"Authorization": "Bearer " + created["access_token"]}).json(), [7])
        self.assertEqual(get(None), (401, "Bearer"))
        for wrong in ("Bearer x", "Basic eDp4", "Bearer " + bound["access_token"]):
            self.assertEqual(get(wrong), (401, 'Bearer error="invalid_token"'), wrong)
        client.end(created["session"]["id"])
        self.assertEqual(get("Bearer " + created["access_token"])[0], 401)
        made["sessions"] = sessions("http://127.0.0.1:1", retries=0)
        down = site.get("/cart", headers={"Authorization": "Bearer x"})
        self.assertEqual((down.status_code, down.headers["Retry-After"]), (503, "1"))
        made["sessions"] = sessions(key="another-key-that-nobody-has-given-out")
        self.assertEqual(get("Bearer x"), (500, None))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
