import { SessionCookies, Sessions } from "@latchkey/server";
import { NextSessions } from "@latchkey/server/next";

export const cookies = new SessionCookies();
export const sessions = new Sessions({ internal: process.env.SESSIONS_URL!, serviceKey: process.env.SERVICE_KEY!, public: process.env.ISSUER! });
export const guard = new NextSessions({ sessions, cookies, optional: true });
