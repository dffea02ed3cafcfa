import { guard } from "../../sessions";

/** A route handler behind the proxy. */
async function answer(request: Request): Promise<Response> {
  const user = await guard.component(request.headers);
  return Response.json({ sub: user?.claims.sub ?? null, refreshed: user?.refreshed ?? null }, { headers: { "Set-Cookie": "own=1; Path=/" } });
}

export { answer as GET, answer as POST };
