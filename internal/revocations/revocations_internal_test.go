package revocations

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/verifier"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func TestRevocationQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, query := range map[string]string{
		"strict": strictQuery, "revoked": revokedQuery, "newlyRevoked": newlyRevokedQuery, "makeEpoch": makeEpochQuery, "placeEpoch": placeEpochQuery, "noteClock": noteClockQuery,
	} {
		if _, err := conn.Conn().Prepare(t.Context(), name, query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Statements that run several times per second use the indexes, whatever the planner expects: here it has no statistics
// yet, and the plan is for any arguments.
func TestNewRevocationsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`INSERT INTO "sessionStore" ("checksum", "data", "revokedAt", "revokedXid") SELECT '', '{}', now(), n::text::xid8 FROM generate_series(1, 20000) n`,
		`INSERT INTO "sessionStoreToken" ("session", "expiresAt", "createdAt") SELECT "id", now(), now() FROM "sessionStore"`,
		`SET plan_cache_mode = force_generic_plan`,
		`PREPARE new AS ` + newlyRevokedQuery,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), `EXPLAIN EXECUTE new(300, 60, '10:20:15', 100)`)
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{`"sessionStore"`, `"sessionStoreToken"`} {
		if strings.Contains(plan.String(), "Seq Scan on "+table) {
			t.Errorf("all of %s is read:\n%s", table, plan.String())
		}
	}
	if !strings.Contains(plan.String(), "sessionStoreTokenSessionIdx") {
		t.Errorf("tokens are not found by their session:\n%s", plan.String())
	}
	if !strings.Contains(plan.String(), "sessionStoreTokenSupersededXidIdx") {
		t.Errorf("superseded tokens are not found by their index:\n%s", plan.String())
	}
}

type revocationKit struct {
	*Source
	pool *pgxpool.Pool
}

func setupRevocations(t *testing.T) revocationKit {
	t.Helper()
	pool := testdb.Pool(t)
	if err := makeEpoch(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return revocationKit{&Source{Pool: pool, Direct: pool, MaxAccessTokenTTL: 24 * time.Hour}, pool}
}

// now returns the database's state.
func (k revocationKit) now(t *testing.T) state {
	t.Helper()
	rows, err := k.pool.Query(t.Context(), stateOfDatabase)
	if err != nil {
		t.Fatal(err)
	}
	at, err := k.readRevocations(rows, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (k revocationKit) session(t *testing.T, columns string, values ...any) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	err := k.pool.QueryRow(t.Context(), `INSERT INTO "sessionStore" ("checksum", "data") VALUES ('', '{}') RETURNING "id"`).Scan(&id)
	if err == nil && columns != "" {
		_, err = k.pool.Exec(t.Context(), `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", `+columns+`) VALUES ($1, now(), now(), `+
			strings.Join([]string{"$2", "$3"}[:len(values)], ", ")+`)`, append([]any{id}, values...)...)
	}
	if err == nil {
		_, err = k.pool.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A session is remembered until no token of it can be left, whatever its row says
// about the newest one: an earlier one may have had a longer lifetime, and a
// failover may have forgotten the last.
func TestRevocationUntil(t *testing.T) {
	t.Parallel()
	k := setupRevocations(t)
	before, now := k.now(t), time.Now()
	want := map[uuid.UUID]time.Duration{
		k.session(t, ""): 24 * time.Hour, // it has no tokens
		k.session(t, `"accessExpiresAt"`, now.Add(20*time.Second)):                        24 * time.Hour,
		k.session(t, `"accessExpiresAt"`, now.Add(30*time.Hour)):                          30 * time.Hour, // the clock was set back since
		k.session(t, `"accessExpiresAt", "accessTokenTtl"`, now.Add(-10*time.Minute), 60): 24 * time.Hour,
	}
	check := func(what string, found []verifier.Revocation) {
		t.Helper()
		got := map[uuid.UUID]time.Duration{}
		for _, r := range found {
			got[r.SessionID] = time.Unix(r.Until, 0).Sub(now).Round(10*time.Second) - verifier.Slack
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	found, known, err := k.Since(t.Context(), before.String())
	if err != nil || !known {
		t.Fatalf("%v, %v", known, err)
	}
	check("new ones", found)
	rows, err := k.pool.Query(t.Context(), revokedQuery, k.revoked()...)
	if err != nil {
		t.Fatal(err)
	}
	found = nil
	if _, err := k.readRevocations(rows, func(r verifier.Revocation, _ Ended) { found = append(found, r) }, nil); err != nil {
		t.Fatal(err)
	}
	check("all", found)
}

// Superseded access tokens are remembered until the last that may have been issued
// before has expired, and are also reported to later followers; those of long ago
// are forgotten.
func TestSupersededUntil(t *testing.T) {
	t.Parallel()
	k := setupRevocations(t)
	k.session(t, `"accessExpiresAt"`, time.Now().Add(time.Minute))
	before, now := k.now(t), time.Now()
	var pair uuid.UUID
	if err := k.pool.QueryRow(t.Context(), `UPDATE "sessionStoreToken" SET "supersededBelow" = 7, "supersededAt" = now(), "supersededXid" = pg_current_xact_id()
		RETURNING "id"`).Scan((*[16]byte)(&pair)); err != nil {
		t.Fatal(err)
	}
	check := func(what string, found []verifier.Revocation, want ...verifier.Revocation) {
		t.Helper()
		var got []verifier.Revocation
		for _, r := range found {
			if r.Below != 0 {
				r.Until = int64((time.Unix(r.Until, 0).Sub(now).Round(10*time.Second) - verifier.Slack).Hours())
				got = append(got, r)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	all := func() (found []verifier.Revocation) {
		rows, err := k.pool.Query(t.Context(), revokedQuery, k.revoked()...)
		if err == nil {
			_, err = k.readRevocations(rows, func(r verifier.Revocation, _ Ended) { found = append(found, r) }, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := verifier.Revocation{TokenID: pair, Below: 7, Until: 24}
	found, known, err := k.Since(t.Context(), before.String())
	if err != nil || !known {
		t.Fatalf("%v, %v", known, err)
	}
	check("new ones", found, want)
	check("all", all(), want)
	if found, _, err = k.Since(t.Context(), k.now(t).String()); err != nil {
		t.Fatal(err)
	}
	check("since then", found)
	if _, err := k.pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "supersededAt" = now() - interval '25 h'`); err != nil {
		t.Fatal(err)
	}
	check("a day later", all())
}

// Only the state of this very database can be continued, and only from where it
// can be done exactly.
func TestRevocationsSince(t *testing.T) {
	t.Parallel()
	k := setupRevocations(t)
	k.session(t, "")
	at := k.now(t)
	for name, c := range map[string]struct {
		cursor string
		known  bool
	}{
		"here":                  {at.String(), true},
		"nonsense":              {"x", false},
		"nothing":               {"", false},
		"another epoch":         {strings.Replace(at.String(), at.epoch[len(at.epoch)-12:], "000000000000", 1), false},
		"the future":            {version + at.epoch + ":1:99999999999999:", false},
		"not quite a snapshot":  {version + at.epoch + ":1:2", false},
		"something for the SQL": {version + at.epoch + ":1:2:'", false},
		"before everything":     {version + at.epoch + ":3:3:", true},
		"of an earlier release": {at.epoch + ":3:3:", false},
	} {
		if _, known, err := k.Since(t.Context(), c.cursor); known != c.known || err != nil {
			t.Errorf("%s: %v, %v", name, known, err)
		}
	}
	found, _, err := k.Since(t.Context(), at.String())
	if err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}

	if _, err := k.pool.Exec(t.Context(), `INSERT INTO "sessionStore" ("checksum", "data", "revokedAt", "revokedXid")
		SELECT '', '{}', now(), pg_current_xact_id() FROM generate_series(1, $1)`, maxNewRevocations); err != nil {
		t.Fatal(err)
	}
	if _, known, err := k.Since(t.Context(), at.String()); known || err != nil {
		t.Errorf("too many: %v, %v", known, err)
	}
	if _, err := k.pool.Exec(t.Context(), `DELETE FROM "sessionStoreEpoch"`); err != nil {
		t.Fatal(err)
	}
	if _, known, err := k.Since(t.Context(), at.String()); known || err != nil {
		t.Errorf("no epoch: %v, %v", known, err)
	}
}

// An epoch belongs to one server, and to the row as that server wrote it. A row that came from elsewhere is no epoch, and
// is replaced by another. The row of an earlier release is taken over as it is, and a row that is right is never replaced.
func TestAnEpochIsOfOneServer(t *testing.T) {
	t.Parallel()
	k := setupRevocations(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := k.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	first := k.now(t).epoch
	for name, c := range map[string]struct {
		how  string
		same bool // afterwards the epoch is the one before
	}{
		"right":                 {`SELECT`, true},
		"of another server":     {`UPDATE "sessionStoreEpoch" SET "server" = '1'`, false},
		"from a dump":           {`CREATE TABLE c AS TABLE "sessionStoreEpoch"; DELETE FROM "sessionStoreEpoch"; INSERT INTO "sessionStoreEpoch" SELECT * FROM c; DROP TABLE c`, false},
		"of an earlier release": {`UPDATE "sessionStoreEpoch" SET "server" = NULL, "xid" = NULL`, true},
		"lost":                  {`TRUNCATE "sessionStoreEpoch"`, false},
	} {
		before := k.now(t).epoch
		exec(c.how)
		if at := k.now(t); name != "right" && at.epoch != "" {
			t.Errorf("%s: %q is an epoch", name, at.epoch)
		}
		for range 2 {
			if err := makeEpoch(t.Context(), k.pool); err != nil {
				t.Fatal(err)
			}
		}
		after := k.now(t).epoch
		if !states.MatchString(k.now(t).String()) || (after == before) != c.same {
			t.Errorf("%s: %q became %q", name, before, after)
		}
	}
	if first == "" {
		t.Error("there was none at first")
	}

	exec(`TRUNCATE "sessionStoreEpoch"`)
	var all sync.WaitGroup
	epochs := make([]string, 8)
	for i := range epochs {
		all.Go(func() {
			if err := makeEpoch(t.Context(), k.pool); err != nil {
				t.Error(err)
			}
			epochs[i] = k.now(t).epoch
		})
	}
	all.Wait()
	for _, epoch := range epochs {
		if epoch == "" || epoch != epochs[0] {
			t.Errorf("replicas that begin at once have the epochs %q", epochs)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("2:7329014355519823312-01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91:742:745:743,744")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseState(text); ok && (s.String() != text || strings.ContainsAny(text, "' \n")) {
			t.Errorf("%q became %q", text, s.String())
		}
	})
}

// However often everyone is signed out, followers receive the last time: with everything, whenever they
// were away, and as one entry instead of one for each session.
func TestSignOutIsOneEntry(t *testing.T) {
	t.Parallel()
	k := setupRevocations(t)
	for range 3 {
		k.session(t, `"accessExpiresAt"`, time.Now().Add(time.Minute))
	}
	before := k.now(t)
	if _, err := k.pool.Exec(t.Context(), `INSERT INTO "sessionStoreEra" VALUES (1, '2026-01-01Z', 'all_signed_out', NULL), (2, '2026-01-02 00:00:00.7Z', 'all_signed_out', 'grace')`); err != nil {
		t.Fatal(err)
	}
	late := k.session(t, `"accessExpiresAt"`, time.Now().Add(time.Minute))
	at := time.Date(2026, time.January, 2, 0, 0, 0, 0, time.UTC)
	entry := verifier.Revocation{Era: 2, Before: at.Unix(), Until: at.Add(24*time.Hour+verifier.Slack).Unix() + 1}
	check := func(what string, found []verifier.Revocation) {
		t.Helper()
		for i := range found {
			if found[i].Era == 0 {
				found[i].Until = 0
			}
		}
		if diff := cmp.Diff([]verifier.Revocation{entry, {SessionID: late}}, found); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	found, known, err := k.Since(t.Context(), before.String())
	if err != nil || !known {
		t.Fatalf("%v, %v", known, err)
	}
	check("new ones", found)
	rows, err := k.pool.Query(t.Context(), revokedQuery, k.revoked()...)
	found = nil
	var last SignOut
	if err == nil {
		_, err = k.readRevocations(rows, func(r verifier.Revocation, _ Ended) { found = append(found, r) }, func(r verifier.Revocation, o SignOut) {
			found, last = append(found, r), o
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	check("all", found)
	if want := (SignOut{Era: 2, At: at.Add(700 * time.Millisecond), Reason: "all_signed_out", By: "grace"}); !last.At.Equal(want.At) || last.Era != 2 || last.By != want.By || last.Reason != want.Reason {
		t.Errorf("%+v, want %+v", last, want)
	}
}
