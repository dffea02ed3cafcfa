import { useSyncExternalStore } from "react";
import type { State } from "./observed.js";

/** A server knows no user, and the page's first rendering must equal the server's. */
const loading: State = { status: "loading" };
const atFirst = () => loading;

/** useSession returns what is known about the user, and renders again when that changes, in any tab. */
export function useSession(client: { state: () => State; subscribe: (changed: () => void) => () => void }): State {
  return useSyncExternalStore(client.subscribe, client.state, atFirst);
}
