import { NextResponse, type NextRequest } from "next/server";
import { guard } from "./sessions";

export const proxy = (request: NextRequest) => guard.proxy(request, (headers) => NextResponse.next({ request: { headers } }));

export const config = { matcher: "/((?!alone).*)" };
