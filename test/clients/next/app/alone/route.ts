import { guard } from "../../sessions";

/** A route handler that no proxy is in front of. */
const answer = (request: Request): Promise<Response> =>
  guard.route(request, (user) => Response.json({ sub: user?.claims.sub ?? null, refreshed: user?.refreshed ?? null }));

export { answer as GET, answer as POST };
