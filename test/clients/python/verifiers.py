"""Each library of Debian's verifies the tokens that are given as arguments, of a service whose keys are of one ALGORITHM.

What it says of each, the subject or an error, is written as JSON. requests-oauthlib looks into no token: it refreshes.
"""
import json
import os
import sys
from importlib.metadata import version
from urllib.request import urlopen

import jwt
import jose.jwt
from authlib.jose import JsonWebKey, JsonWebToken
from requests_oauthlib import OAuth2Session

ISSUER, AUDIENCE, ALGORITHM = os.environ["ISSUER"], os.environ["AUDIENCE"], os.environ["ALGORITHM"]
KEYS = ISSUER + "/.well-known/jwks.json"


def pyjwt(token):
    key = jwt.PyJWKClient(KEYS).get_signing_key_from_jwt(token)
    return jwt.decode(token, key.key, algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE)["sub"]


def authlib(token):
    keys = JsonWebKey.import_key_set(json.load(urlopen(KEYS)))
    options = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}, "exp": {"essential": True}}
    claims = JsonWebToken([ALGORITHM]).decode(token, keys, claims_options=options)
    claims.validate()
    return claims["sub"]


def python_jose(token):
    return jose.jwt.decode(token, json.load(urlopen(KEYS)), algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE)["sub"]


VERIFIERS = {"PyJWT": pyjwt, "Authlib": authlib, "python-jose": python_jose}


def attempt(verify, token):
    try:
        return {"subject": verify(token)}
    except Exception as error:  # whatever a library raises is its answer
        return {"error": repr(error)}


def refresh(token):
    """An app that keeps what it gets: the access token is a new one."""
    app = OAuth2Session("latchkey", token={"access_token": "", "refresh_token": token, "token_type": "Bearer"})
    kept = app.refresh_token(ISSUER + "/oauth2/token", client_id="latchkey")
    session = app.get(ISSUER + "/v1/me/sessions/current")
    session.raise_for_status()
    return session.json()["subject"] if kept["refresh_token"] else None


os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "true"  # there is no TLS here
said = {name: {"version": version(name), "answers": [attempt(verify, token) for token in sys.argv[1:]]} for name, verify in VERIFIERS.items()}
tokens = os.environ["REFRESH_TOKEN"], os.environ["REFRESH_TOKEN"][:-8] + "AAAAAAAA"
said["requests-oauthlib"] = {"version": version("requests-oauthlib"), "answers": [attempt(refresh, token) for token in tokens]}
print(json.dumps(said))
