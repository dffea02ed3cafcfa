// A server that checks requests without calling the service.
import { createServer } from "node:http";
import { guard } from "@latchkey/server/express";
import { Verifier } from "@latchkey/server/verifier";

/** backend answers with the session of each request's access token, on a port of 127.0.0.1. */
export function backend(options, port = 0) {
  const verifier = new Verifier(options);
  const check = guard({ verifier });
  const server = createServer((request, response) => {
    check(request, response, (error) => {
      if (error) return response.writeHead(500).end();
      response.end(request.latchkey.claims.sid);
    });
  });
  server.on("close", () => verifier.close());
  return { verifier, server: server.listen(port, "127.0.0.1") };
}

if (import.meta.filename === process.argv[1]) {
  const { ISSUER: issuer, AUDIENCE: audience, INTERNAL: internal, SERVICE_KEY: serviceKey } = process.env;
  backend({ issuer, audience, internal, serviceKey }, 3000);
}
