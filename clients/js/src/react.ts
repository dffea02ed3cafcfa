import { useSyncExternalStore } from "react";
import type { State } from "./observed.js";

/** useSession returns what is known about the user, and renders anew when that changes, in whichever tab. */
export function useSession(client: { state: () => State; subscribe: (changed: () => void) => () => void }): State {
  return useSyncExternalStore(client.subscribe, client.state, client.state);
}
