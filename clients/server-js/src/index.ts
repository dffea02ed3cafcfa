export { LatchkeyError, type ErrorCode } from "./errors.js";
export { Sessions, type CallOptions, type ClaimsOptions, type CreateOptions, type IntrospectOptions, type Options, type Versioned } from "./sessions.js";
export type * from "./types.js";
export type { components, operations, paths } from "./openapi.js";
export { SessionCookies, type CookiesOptions } from "./cookies.js";
