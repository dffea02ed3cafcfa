// Package era has the conditions by which statements recognise the sessions that have ended
// because everyone was signed out.
//
// Each session belongs to an era, which its row of tokens and its access tokens name. Signing
// everyone out begins the next era: one row in "sessionStoreEra". The sessions of earlier eras
// have then ended, without a change of their rows. No clock decides, and each statement compares
// within its own snapshot: a session that was created, or took another's place, by a statement
// that does not see the new era yet does not belong to it.
package era

// Current is the era that new sessions belong to. It is null until everyone was signed out for
// the first time, and an era that is null counts as 0. The order makes it one lookup.
const Current = `(SELECT "era" FROM "sessionStoreEra" ORDER BY "era" DESC LIMIT 1)`

// Continues follows the era of a row, COALESCE(r."era", 0), and is true if that is the current one.
// PostgreSQL looks the current one up once for each statement.
const Continues = ` >= COALESCE(` + Current + `, 0)`
