// Each library verifies the tokens that are given as arguments, of a service whose keys are of one ALGORITHM. The
// result for each, the subject or an error, is written as JSON.
import { readFileSync } from "node:fs";
import { JwtVerifier } from "aws-jwt-verify";
import fastifyJwt from "@fastify/jwt";
import express from "express";
import { expressjwt } from "express-jwt";
import { auth } from "express-oauth2-jwt-bearer";
import fastify from "fastify";
import buildGetJwks from "get-jwks";
import { Hono } from "hono";
import { jwk } from "hono/jwk";
import { createRemoteJWKSet, jwtVerify } from "jose";
import jwt from "jsonwebtoken";
import jwksRsa from "jwks-rsa";
import passport from "passport";
import { ExtractJwt, Strategy } from "passport-jwt";

const { ISSUER: issuer, AUDIENCE: audience, ALGORITHM: algorithm } = process.env;
const jwksUri = `${issuer}/.well-known/jwks.json`;
const algorithms = [algorithm];
const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });

/** ask has an Express application, which answers with the subject, take one request. */
async function ask(token, ...middleware) {
  const app = express();
  app.get("/", ...middleware, (request, response) => response.send(request.user?.sub ?? request.auth.sub ?? request.auth.payload.sub));
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).send(String(error)));
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, bearer(token));
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
    return text;
  } finally {
    server.close();
  }
}

const verifiers = {
  async "aws-jwt-verify"(token) {
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri });
    verifier.cacheJwks(await (await fetch(jwksUri)).json()); // by itself it fetches keys over TLS alone
    return (await verifier.verify(token)).sub;
  },
  "express-jwt": (token) => ask(token, expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri }), issuer, audience, algorithms })),
  "express-oauth2-jwt-bearer": (token) => ask(token, auth({ issuerBaseURL: issuer, audience, tokenSigningAlg: algorithm })),
  async "@fastify/jwt"(token) {
    const getJwks = buildGetJwks({ providerDiscovery: true, issuersWhitelist: [issuer] });
    const app = fastify();
    app.register(fastifyJwt, {
      decode: { complete: true },
      verify: { allowedIss: issuer, allowedAud: audience, algorithms },
      secret: async (_request, { header: { kid, alg }, payload: { iss } }) => getJwks.getPublicKey({ kid, alg, domain: iss }),
    });
    app.get("/", async (request) => (await request.jwtVerify()).sub);
    const answer = await app.inject({ url: "/", ...bearer(token) });
    if (answer.statusCode !== 200) throw new Error(answer.body);
    return answer.body;
  },
  async hono(token) {
    const app = new Hono();
    app.use(jwk({ jwks_uri: jwksUri, alg: algorithms, verification: { iss: issuer, aud: audience, typ: "at+jwt" } }));
    app.get("/", (context) => context.text(context.get("jwtPayload").sub));
    const answer = await app.request("/", bearer(token));
    if (!answer.ok) throw new Error(`${answer.status} ${answer.headers.get("WWW-Authenticate")} ${await answer.text()}`);
    return answer.text();
  },
  async jose(token) {
    const keys = createRemoteJWKSet(new URL(jwksUri));
    return (await jwtVerify(token, keys, { issuer, audience, algorithms, typ: "at+jwt" })).payload.sub;
  },
  async jsonwebtoken(token) {
    const key = await jwksRsa({ jwksUri }).getSigningKey(jwt.decode(token, { complete: true }).header.kid);
    return jwt.verify(token, key.getPublicKey(), { issuer, audience, algorithms }).sub;
  },
  "passport-jwt": (token) => {
    const strategy = new Strategy(
      { jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri }), issuer, audience, algorithms },
      (claims, done) => done(null, claims),
    );
    return ask(token, new passport.Passport().use(strategy).authenticate("jwt", { session: false }));
  },
};

const said = {};
for (const [name, verify] of Object.entries(verifiers)) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`));
  const answers = await Promise.all(process.argv.slice(2).map((token) => verify(token).then((subject) => ({ subject }), (error) => ({ error: String(error) }))));
  said[name] = { version, answers };
}
console.log(JSON.stringify(said));
