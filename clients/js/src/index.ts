/**
 * Keeps a user signed in.
 *
 * @example
 * import { Client } from "@latchkey/client";
 *
 * const session = new Client({ issuer: "https://sessions.example.com", origins: ["https://api.example.com"] });
 * await session.signIn(await login()); // what your backend sent
 * const answer = await session.fetch("https://api.example.com/cart");
 *
 * @module
 */
export { Client, type Device, type Options } from "./client.js";
export { LatchkeyError, type ErrorCode } from "./errors.js";
export type { Credentials, Fetch, Prover, Source } from "./fetch.js";
export type { Lock } from "./lock.js";
export type { State } from "./observed.js";
export type { Session, TokenResponse } from "./session.js";
export { databaseStore, localStore, memoryStore, tabStore, type Store } from "./store.js";
