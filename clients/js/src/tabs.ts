/** openChannel returns undefined if the platform has no BroadcastChannel, or the browser forbids it together with storage. */
export function openChannel<Message>(name: string, heard: (message: Message) => void): BroadcastChannel | undefined {
  let channel: BroadcastChannel;
  try {
    channel = new BroadcastChannel(name);
  } catch {
    return undefined;
  }
  // Node would not end while a channel is open.
  (channel as { unref?: () => void }).unref?.();
  channel.onmessage = ({ data }: MessageEvent<Message>) => heard(data);
  return channel;
}

/** Tabs notifies the other tabs of an origin of events in this one, and this one when to check again. */
export class Tabs<Message> {
  readonly #name: string;
  readonly #heard: (message: Message) => void;
  readonly #closed = new AbortController();
  #channel: BroadcastChannel | undefined;

  /**
   * `heard` is called with another tab's message, and `back` when the page is visible again or the device is online again: after
   * hours in the background, or in the back-forward cache, everything may have changed.
   */
  constructor(name: string, heard: (message: Message) => void, back: () => void) {
    this.#name = name;
    this.#heard = heard;
    this.#open();
    if (typeof document !== "object") return;
    const { signal } = this.#closed;
    // Not while the page is being left: a page with a transaction under way is evicted from the back-forward cache when another tab
    // writes.
    const seen = () => document.visibilityState === "hidden" || back();
    addEventListener("online", seen, { signal });
    document.addEventListener("visibilitychange", seen, { signal });
    // An open channel would keep the page out of that cache.
    addEventListener("pagehide", () => this.#silence(), { signal });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.#open(), back();
    }, { signal });
  }

  tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  close(): void {
    this.#closed.abort();
    this.#silence();
  }

  #open(): void {
    this.#channel = openChannel(this.#name, this.#heard);
  }

  #silence(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}
