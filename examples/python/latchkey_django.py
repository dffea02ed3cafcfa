"""Django's sessions in Latchkey. Copy this file and latchkey.py, and set SESSION_ENGINE = "latchkey_django" and LATCHKEY."""
import base64
import copy
import json
import sys

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.http import HttpResponse
from django.views.defaults import server_error

from latchkey import LatchkeyError, Sessions

#: settings.LATCHKEY has the arguments of Sessions: internal, service_key and public.
sessions = Sessions(**settings.LATCHKEY)


class SessionStore(SessionBase):
    """A session whose key, the value of the cookie, is its access token and its refresh token.

    The session's subject is the user that django.contrib.auth has signed in. It ends after SESSION_COOKIE_AGE without a refresh.
    """

    def __init__(self, session_key=None):
        super().__init__(session_key)
        self._id, self._stored, self._replaces = None, {}, None

    def load(self):
        access, _, refresh = (self.session_key or "").partition("~")
        answer = {"active": False} if _is_others(access) else sessions.introspect(access)
        if not answer["active"] and refresh:
            answer = self._refresh(refresh)
        if not answer["active"] or "cnf" in answer:  # a token with cnf is bound to a key, and needs a proof of it
            self._session_key = None
            return {}
        self._id, self._stored = answer["session"]["id"], answer["session"]["data"]
        return copy.deepcopy(self._stored)

    def save(self, must_create=False):
        data = self._get_session()
        if self._id is None:
            return self._begin(data)
        if data == self._stored:
            return None
        changed = {name: value for name, value in data.items() if name not in self._stored or self._stored[name] != value}
        removed = self._stored.keys() - data.keys()
        try:  # what other requests have stored meanwhile stays, but for the members that this one has changed
            stored = sessions.update(self._id, lambda now: {**{name: now[name] for name in now if name not in removed}, **changed})
        except LatchkeyError as error:
            if error.code in ("session_ended", "session_not_found"):
                raise UpdateError from error
            raise
        self._stored = copy.deepcopy(stored)

    def create(self):
        self._forget()
        self.save()

    def cycle_key(self):
        """Replace the session by one with the same data, whose tokens nobody has seen: at a login, and when a password changes."""
        data = self._get_session()
        self._session_key, self._id, self._replaces, self._session_cache = None, None, self._id, data
        self.modified = True

    def flush(self):
        self._get_session()
        if self._id is not None:
            sessions.end(self._id)
        self._forget()

    def delete(self, session_key=None):
        if session_key not in (None, self.session_key):
            return SessionStore(session_key).flush()
        self.flush()

    def exists(self, session_key):
        return sessions.introspect(session_key.partition("~")[0])["active"]

    @classmethod
    def clear_expired(cls):
        """Do nothing: the service removes what has expired."""

    def _refresh(self, token):
        try:
            pair = sessions.refresh(token)
        except LatchkeyError as error:
            if error.code != "invalid_grant":
                raise
            return {"active": False}
        self._keep(pair)
        # The browser may never get this answer: it confirms the new tokens when it brings them.
        return sessions.introspect(pair["access_token"], confirm=False)

    def _begin(self, data):
        session = {"data": data, "refresh_token_ttl": self.get_expiry_age()}
        if SESSION_KEY in data:
            session["subject"] = data[SESSION_KEY]
        try:
            created = sessions.create(**session, **({"replaces": self._replaces} if self._replaces else {}))
        except LatchkeyError as error:
            if error.code != "not_replaceable":
                raise
            created = sessions.create(**session)
        self._keep(created)
        self._id, self._stored, self._replaces = created["session"]["id"], copy.deepcopy(data), None

    def _keep(self, pair):
        self._session_key = pair["access_token"] + "~" + pair["refresh_token"]
        self.modified = True  # so that the middleware sets the cookie

    def _forget(self):
        self._session_key, self._id, self._stored, self._replaces, self._session_cache = None, None, {}, None, {}
        self.accessed = self.modified = True


def handler500(request):
    """Answer 503 where the service cannot tell: nobody is signed out. Import it in the root URLconf."""
    error = sys.exc_info()[1]
    if isinstance(error, LatchkeyError) and error.unavailable:
        return HttpResponse("Try again in a moment.", status=503, headers={"Retry-After": "1"})
    return server_error(request)


def _is_others(token):
    """Whether a token belongs in a cookie of another program, as those of Go programs say. To ask about it would confirm it."""
    try:
        payload = token.split(".")[1]
        return "latchkey_cookie" in json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, TypeError):
        return False  # the service refuses it
