import * as Keychain from "react-native-keychain";
import { type Store } from "@latchkey/client";

const service = "latchkey";

export const store: Store = {
  async read() {
    const kept = await Keychain.getGenericPassword({ service });
    return kept ? JSON.parse(kept.password) : null;
  },
  async write(session) {
    const accessible = Keychain.ACCESSIBLE.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY;
    if (session) await Keychain.setGenericPassword("session", JSON.stringify(session), { service, accessible });
    else await Keychain.resetGenericPassword({ service });
  },
};
