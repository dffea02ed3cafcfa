// The refresh protocol of docs/refresh-protocol.md, for any store: pure functions of a session's row and the present. All
// times are whole seconds by the store's clock. Load the row under a lock, call one of them, write the row that it returns,
// commit, and only then answer.

export interface Settings {
  grace: number;
  late_retry_limit: number;
  access_token_ttl: number;
  refresh_token_ttl: number;
  session_end?: number; // the session's absolute end
}

export interface Row {
  generation: number;
  access_generation: number;
  created_at: number;
  issued_at: number | null;
  grace: number | null;
  settled_at: number | null;
  confirmed_at: number | null;
  expires_at: number;
  access_expires_at: number;
  late_retry_generation: number;
  late_retries: number;
  bound_to?: string;
  revoked: boolean;
}

/** A token whose signature was verified. Whether it has expired is decided here. */
export interface Token {
  generation: number;
  expires_at: number;
}

/** The key that a refresh token is bound to, and the one whose possession its bearer has proven: thumbprints of keys.
/** */
export interface Keys {
  bound_to?: string;
  proven_key?: string;
}

export type Outcome = "refused" | "rotated" | "still_fresh" | "raced" | "retried_late" | "stolen" | "healed";
export type Theft = "stale" | "lockstep" | "old" | "unproven";
export type Decision = { outcome: Outcome; theft?: Theft; row: Row };

const [freshGraces, settleGraces, supersededBy] = [3, 5, 2];

export function create(now: number, s: Settings): Row {
  return {
    generation: 0, access_generation: 0, created_at: now, issued_at: null, grace: null, settled_at: null, confirmed_at: null,
    expires_at: capped(now + s.refresh_token_ttl, s), access_expires_at: capped(now + s.access_token_ttl, s),
    late_retry_generation: 0, late_retries: 0, revoked: false,
  };
}

/** A refresh token is presented. */
export function present(row: Row, token: Token, keys: Keys, now: number, s: Settings): Decision {
  const boundTo = row.bound_to ?? keys.bound_to;
  if (boundTo !== undefined && boundTo !== keys.proven_key) {
    if (keys.bound_to !== undefined || decide(row, token, now, s).outcome === "refused") return { outcome: "refused", row };
    return stolen(row, "unproven");
  }
  const d = decide(row, token, now, s);
  const isAnswered = d.outcome !== "refused" && d.outcome !== "stolen";
  return isAnswered && keys.proven_key !== undefined ? { ...d, row: { ...d.row, bound_to: keys.proven_key } } : d;
}

/** An access token is presented to a strict check. */
export function check(row: Row, token: Token, now: number, s: Settings): boolean {
  if (row.revoked || now >= row.expires_at || now >= token.expires_at) return false;
  if (token.generation >= row.access_generation) return true;
  const since = row.issued_at ?? row.created_at;
  return token.generation === row.access_generation - 1 && now < since + (row.grace ?? s.grace);
}

/** A strict check has accepted an access token: that is recorded now or a little later. */
export function confirm(row: Row, token: Token, now: number): Row {
  const isNewest = token.generation === row.access_generation && token.expires_at === row.access_expires_at;
  if (!isNewest || row.revoked || row.confirmed_at !== null || !usesCount(row, now)) return row;
  return { ...row, confirmed_at: now };
}

/** All access tokens that were issued are replaced at once. */
export function supersede(row: Row): Row {
  return { ...row, access_generation: row.access_generation + supersededBy };
}

function decide(row: Row, token: Token, now: number, s: Settings): Decision {
  const grace = row.grace ?? s.grace;
  const behind = row.generation - token.generation;
  const isOver = row.revoked || (s.session_end !== undefined && now >= s.session_end);
  if (isOver || (behind >= 0 && now >= row.expires_at) || (behind !== 0 && now >= token.expires_at)) return { outcome: "refused", row };
  if (behind < 0) return { outcome: "healed", row: rotate(row, token.generation + 1, now, s) };
  if (behind === 0) {
    const isFresh = row.issued_at !== null && now < row.issued_at + freshGraces * grace;
    if (!isFresh) return { outcome: "rotated", row: rotate(row, row.generation + 1, now, s) };
    const next = usable(row, now, s);
    const isUse = row.confirmed_at === null && usesCount(row, now);
    return { outcome: "still_fresh", row: isUse ? { ...next, confirmed_at: now } : next };
  }
  if (behind > 1) return stolen(row, "old");
  const since = Math.max(row.issued_at ?? -Infinity, row.confirmed_at ?? -Infinity);
  if (now < since + grace) return { outcome: "raced", row: usable(row, now, s) };
  if (row.confirmed_at !== null) return stolen(row, "stale");
  return retryLate(row, now, s);
}

function rotate(row: Row, generation: number, now: number, s: Settings): Row {
  const settled = row.issued_at === null ? now : row.issued_at + settleGraces * (row.grace ?? s.grace);
  const next = {
    ...row, generation, access_generation: row.access_generation + generation - row.generation - 1,
    created_at: now, issued_at: now, grace: s.grace, settled_at: Math.max(now, settled),
    expires_at: capped(Math.max(now + s.refresh_token_ttl, row.expires_at), s),
  };
  return mint(next, now, s);
}

function retryLate(row: Row, now: number, s: Settings): Decision {
  const isInARow = row.late_retries > 0 && row.late_retry_generation >= row.generation - 1;
  const isCounted = isInARow && row.late_retry_generation === row.generation;
  const retries = isCounted ? row.late_retries : isInARow ? row.late_retries + 1 : 1;
  if (retries > s.late_retry_limit) return stolen(row, "lockstep");
  const next = { ...row, late_retries: retries, late_retry_generation: row.generation, issued_at: now, grace: s.grace };
  return { outcome: "retried_late", row: mint(next, now, s) };
}

function mint(row: Row, now: number, s: Settings): Row {
  const access_expires_at = capped(Math.min(now + s.access_token_ttl, row.expires_at), s);
  return { ...row, access_generation: row.access_generation + 1, access_expires_at, confirmed_at: null };
}

/** The row as it may be handed out again: an access token that has come to the last tenth of its life is replaced. */
function usable(row: Row, now: number, s: Settings): Row {
  const until = capped(Math.min(now + s.access_token_ttl, row.expires_at), s);
  if (row.access_expires_at > now + s.access_token_ttl / 10 || until <= row.access_expires_at) return row;
  return { ...row, access_generation: row.access_generation + 1, access_expires_at: until };
}

function stolen(row: Row, theft: Theft): Decision {
  return { outcome: "stolen", theft, row: { ...row, revoked: true } };
}

function usesCount(row: Row, now: number): boolean {
  return row.settled_at === null || now >= row.settled_at;
}

function capped(at: number, s: Settings): number {
  return s.session_end === undefined ? at : Math.min(at, s.session_end);
}
