/** The known state of the user. It is replaced as a whole, so states can be compared with `===`. */
export type State =
  /** It is not known yet. */
  | { readonly status: "loading" }
  /** `session` changes when another user signs in, but not with a refresh. */
  | { readonly status: "signed-in"; readonly session: string }
  /**
   * `reason` is `ended` if the service has said that the session is over, wherever it was ended: it does not tell
   * clients by whom. `by` is where in this browser the user signed out.
   */
  | { readonly status: "signed-out"; readonly reason?: "signed-out" | "ended"; readonly by?: "this-tab" | "another-tab" };

/** Observed keeps a state, and notifies listeners when it changes. */
export class Observed {
  #state: State = { status: "loading" };
  /** Whether the login was gone before the reason was known. */
  #unexplained = false;
  readonly #listeners = new Set<(state: State) => void>();

  readonly state = (): State => this.#state;

  readonly subscribe = (listener: (state: State) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  current(): string | null {
    return this.#state.status === "signed-in" ? this.#state.session : null;
  }

  /** settle notes which login there is. */
  settle(session: string | null, reason?: "signed-out" | "ended", by?: "this-tab" | "another-tab"): void {
    const before = this.#state;
    if (session !== null && session !== this.current()) {
      this.#change({ status: "signed-in", session });
    } else if (session === null && (before.status !== "signed-out" || (this.#unexplained && reason))) {
      this.#unexplained = before.status === "signed-in" && !reason;
      this.#change({ status: "signed-out", ...(reason && { reason }), ...(reason === "signed-out" && by && { by }) });
    }
  }

  #change(state: State): void {
    this.#state = state;
    // One by one: a listener that throws is the page's mistake, and must not prevent the others from
    // being called.
    for (const listener of this.#listeners) queueMicrotask(() => this.#listeners.has(listener) && listener(state));
  }
}
