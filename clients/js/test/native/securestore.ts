import * as SecureStore from "expo-secure-store";
import { type Store } from "@latchkey/client";

const options = { keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY };

export const store: Store = {
  async read() {
    const kept = await SecureStore.getItemAsync("latchkey", options);
    return kept === null ? null : JSON.parse(kept);
  },
  async write(session) {
    if (session) await SecureStore.setItemAsync("latchkey", JSON.stringify(session), options);
    else await SecureStore.deleteItemAsync("latchkey", options);
  },
};
