"""The session engine of examples/python in Django, against the built service, whose addresses are in the environment."""
import base64
import datetime
import json
import os
import sys
import types
import unittest

sys.path.insert(0, os.environ["EXAMPLE"])

import django  # noqa: E402
from django.conf import settings  # noqa: E402

ADDRESSES = {"internal": os.environ["INTERNAL"], "public": os.environ["ISSUER"], "service_key": os.environ["SERVICE_KEY"]}
settings.configure(
    ALLOWED_HOSTS=["localhost"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    LATCHKEY=ADDRESSES,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="site_urls",
    SECRET_KEY="only-for-this-test",
    SESSION_COOKIE_NAME="__Host-session",
    SESSION_COOKIE_SECURE=True,
    SESSION_ENGINE="latchkey_django",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

import latchkey_django  # noqa: E402
from django.contrib.auth import get_user_model, update_session_auth_hash  # noqa: E402
from django.contrib.auth import views as auth  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from latchkey import LatchkeyError, Sessions  # noqa: E402

COOKIE = settings.SESSION_COOKIE_NAME
sessions = latchkey_django.sessions


def home(request):
    return JsonResponse({"user": request.user.username, "seen": request.session.get("seen", [])})


def see(request, what):
    request.session["seen"] = request.session.get("seen", []) + [what]
    return home(request)


def crash(request):
    request.session["seen"] = ["crash"]
    return HttpResponse(status=500)


def password(request):
    request.user.set_password("new horse")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return home(request)


def ended_meanwhile(request):
    request.session["seen"] = ["late"]
    sessions.end(request.session._id)
    return home(request)


urls = types.ModuleType("site_urls")
urls.urlpatterns = [
    path("", home),
    path("see/<what>", see),
    path("crash", crash),
    path("password", password),
    path("ended", ended_meanwhile),
    path("login", auth.LoginView.as_view(success_url="/")),
    path("logout", auth.LogoutView.as_view(next_page="/")),
]
urls.handler500 = latchkey_django.handler500
sys.modules["site_urls"] = urls
settings.LOGIN_REDIRECT_URL = "/"


def browser():
    return Client(raise_request_exception=False, HTTP_HOST="localhost")


def get(client, where="/"):
    return client.get(where, secure=True)


def key(client):
    """What the browser holds, or nothing."""
    return client.cookies[COOKIE].value if COOKIE in client.cookies else ""


def expire(client):
    """What a browser holds once the access token's time is over."""
    client.cookies[COOKIE] = "~" + key(client).partition("~")[2]


class TestEngine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        call_command("migrate", run_syncdb=True, verbosity=0)

    def setUp(self):
        self.user = get_user_model().objects.create_user(self.id()[-100:], password="correct horse")
        self.addCleanup(sessions.end_all, str(self.user.pk))

    def sign_in(self, client=None):
        client = client or browser()
        answer = client.post("/login", {"username": self.user.username, "password": "correct horse"}, secure=True)
        self.assertEqual((answer.status_code, answer["Location"]), (302, "/"))
        return client

    def live(self):
        return sessions._call("GET", "/v1/sessions", {"sessions": list}, params={"subject": str(self.user.pk)})["sessions"]

    def test_life(self):
        client = browser()
        get(client)
        self.assertNotIn(COOKIE, client.cookies, "a visitor who has nothing needs no session")
        get(client, "/see/tea")
        guest = key(client)
        self.sign_in(client)
        self.assertEqual(get(client).json(), {"user": self.user.username, "seen": ["tea"]})
        self.assertFalse(sessions.introspect(guest.partition("~")[0])["active"], "a token from before the login")
        self.assertEqual(get(client, "/see/honey").json()["seen"], ["tea", "honey"])
        (session,) = self.live()
        self.assertEqual(sessions.get(session["id"])["data"]["seen"], ["tea", "honey"])
        ends, began = (datetime.datetime.fromisoformat(session[name].replace("Z", "+00:00")) for name in ("expires_at", "created_at"))
        self.assertEqual((ends - began).total_seconds(), settings.SESSION_COOKIE_AGE)
        cookie = client.cookies[COOKIE]
        self.assertTrue(cookie["secure"] and cookie["httponly"] and cookie["max-age"] == settings.SESSION_COOKIE_AGE, cookie)
        before = key(client)
        client.post("/logout", secure=True)
        self.assertEqual((key(client), self.live()), ("", []))
        client.cookies[COOKIE] = before
        self.assertEqual(get(client).json(), {"user": "", "seen": []})
        self.assertEqual(key(client), "", "a cookie that opens nothing goes")

    def test_refresh(self):
        client = self.sign_in()
        get(client, "/see/tea")
        expire(client)
        spent, confirmed = key(client), []
        introspect = sessions.introspect
        sessions.introspect = lambda token, confirm=True: (confirmed.append(token) if confirm and token else None, introspect(token, confirm=confirm))[1]
        self.addCleanup(sessions.__dict__.pop, "introspect", None)
        for _ in range(3):  # each answer but the last is lost
            client.cookies[COOKIE] = spent
            self.assertEqual(get(client).json()["user"], self.user.username)
            self.assertNotEqual(key(client), spent)
        self.assertEqual(confirmed, [], "the browser has brought no token yet")
        get(client)
        self.assertEqual(confirmed, [key(client).partition("~")[0]])
        for _ in range(2):
            self.assertEqual(get(client, "/see/more").json()["user"], self.user.username)
            expire(client)
        self.assertEqual(get(client).json()["seen"], ["tea", "more", "more"])
        self.assertEqual(len(self.live()), 1)

    def test_refresh_of_a_failed_request(self):
        client = self.sign_in()
        expire(client)
        spent = key(client)
        self.assertEqual(get(client, "/crash").status_code, 500)
        self.assertEqual(key(client), spent, "Django sets no cookie then")
        self.assertEqual(get(client).json(), {"user": self.user.username, "seen": []})

    def test_parallel_requests(self):
        client = self.sign_in()
        one, other = (latchkey_django.SessionStore(key(client)) for _ in range(2))
        one["a"], one["gone"] = 1, 1
        one.save()
        for store in (one := latchkey_django.SessionStore(key(client)), other):
            store.load()
            self.assertIn("_auth_user_id", store)
        other["b"] = [2]
        del one["gone"]
        one["a"] = 3
        other.save()
        one.save()
        data = latchkey_django.SessionStore(key(client)).load()
        self.assertEqual([data.get(name) for name in ("a", "b", "gone")], [3, [2], None])

    def test_several_saves(self):
        store = latchkey_django.SessionStore()
        for n in range(3):
            store.setdefault("seen", []).append(n)
            store.save()
        self.assertEqual(latchkey_django.SessionStore(store.session_key).load(), {"seen": [0, 1, 2]})

    def test_ended_elsewhere(self):
        client = self.sign_in()
        sessions.end_all(str(self.user.pk))
        self.assertEqual(get(client).json(), {"user": "", "seen": []})
        self.assertEqual(key(client), "")
        client = self.sign_in()
        self.assertEqual(get(client, "/ended").status_code, 400)
        client = self.sign_in(self.sign_in())
        self.assertEqual(len(self.live()), 1, "to sign in twice makes no second session")
        (session,) = self.live()
        store = latchkey_django.SessionStore(key(client))
        store.cycle_key()
        sessions.end(session["id"])
        store.save()
        self.assertEqual(latchkey_django.SessionStore(store.session_key)["_auth_user_id"], str(self.user.pk), "there was nothing left to replace")

    def test_password_change(self):
        here, elsewhere = self.sign_in(), self.sign_in()
        self.assertEqual(get(here, "/password").json()["user"], self.user.username)
        self.assertEqual(get(here).json()["user"], self.user.username)
        self.assertEqual(get(elsewhere).json()["user"], "")
        self.assertEqual(len(self.live()), 1)

    def test_unavailable(self):
        client = self.sign_in()
        before = key(client)
        latchkey_django.sessions = Sessions("http://127.0.0.1:1", "x" * 32, public="http://127.0.0.1:1", retries=0)
        self.addCleanup(setattr, latchkey_django, "sessions", sessions)
        for where in ("/", "/see/tea"):
            answer = get(client, where)
            self.assertEqual((answer.status_code, answer["Retry-After"], key(client)), (503, "1", before))
        latchkey_django.sessions = Sessions(**{**ADDRESSES, "public": "http://127.0.0.1:1"}, retries=0)
        self.assertEqual(get(client).status_code, 200)
        expire(client)
        spent = key(client)
        self.assertEqual((get(client).status_code, key(client)), (503, spent))
        client.cookies[COOKIE] = before
        latchkey_django.sessions = Sessions(**{**ADDRESSES, "service_key": "another-key-that-nobody-has-given-out"})
        self.assertEqual((get(client).status_code, key(client)), (500, before))
        latchkey_django.sessions = sessions
        self.assertEqual(get(client).json()["user"], self.user.username)

    def test_tokens_of_others(self):
        bound = sessions.create(data={"a": 1}, dpop_jkt="BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc")
        claims = base64.urlsafe_b64encode(json.dumps({"latchkey_cookie": "__Host-shop"}).encode()).rstrip(b"=").decode()
        for wrong in ("", "x", "x~", "x.y.z~a.b.c", f"{bound['access_token']}~", f"x.{claims}.z~"):
            self.assertEqual(latchkey_django.SessionStore(wrong).load(), {}, wrong)
        self.assertTrue(latchkey_django._is_others(f"x.{claims}.z"))
        self.assertFalse(latchkey_django._is_others(bound["access_token"]))

    def test_interface(self):
        client = self.sign_in()
        store = latchkey_django.SessionStore(key(client))
        self.assertTrue(store.exists(key(client)))
        latchkey_django.SessionStore().delete(key(client))
        self.assertFalse(store.exists(key(client)))
        store = latchkey_django.SessionStore()
        store.create()
        self.assertEqual(latchkey_django.SessionStore(store.session_key).load(), {})
        latchkey_django.SessionStore.clear_expired()
        with self.assertRaises(LatchkeyError):
            sessions.refresh("x")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
