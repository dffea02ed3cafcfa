// Names for what is in the generated description.
import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];

export type NewSession = Schemas["NewSession"];
export type CreatedSession = Schemas["CreatedSession"];
export type Session = Schemas["Session"];
export type ListedSession = Schemas["ListedSession"];
export type SessionPage = Schemas["SessionPage"];
export type SessionPatch = Schemas["SessionPatch"];
export type History = Schemas["History"];
export type Data = Schemas["Data"];
export type Claims = Schemas["Claims"];
export type Introspection = Schemas["Introspection"];
export type Revocations = Schemas["Revocations"];
export type TokenResponse = Schemas["TokenResponse"];
export type Problem = Schemas["Problem"];
export type OAuthError = Schemas["OAuthError"];

/** Which sessions to list. */
export type SessionFilter = NonNullable<operations["listSessions"]["parameters"]["query"]>;
/** From where to follow the revocations. */
export type RevocationsQuery = NonNullable<operations["getRevocations"]["parameters"]["query"]>;
