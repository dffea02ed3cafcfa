package sessionstore_test

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// setClaims replaces a session's claims, whatever they are.
func (k kit) setClaims(t *testing.T, id uuid.UUID, claims string, options sessionstore.SetClaimsOptions) {
	t.Helper()
	_, checksum, err := k.LoadClaims(t.Context(), id)
	if err == nil {
		_, err = k.SetClaims(t.Context(), id, checksum, []byte(claims), options)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// custom are the session's own claims in an access token, accepted or not.
func (k kit) custom(t *testing.T, pair sessionstore.TokenPair) tokens.Claims {
	t.Helper()
	verifier, err := tokens.NewVerifier(k.ring, config().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(string(pair.AccessToken), tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

var supersede = sessionstore.SetClaimsOptions{Supersede: true}

// Claims come with the next access token; tokens already issued stay valid.
func TestSetClaims(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(`{"a":1}`)})
	none, checksum, err := k.LoadClaims(t.Context(), session.ID)
	if err != nil || none != nil {
		t.Fatalf("%s, %v", none, err)
	}
	editor, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(` {"role" : "editor", "id": 12345678901234567890123} `), sessionstore.SetClaimsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":12345678901234567890123,"role":"editor"}`
	got, read, err := k.LoadClaims(t.Context(), session.ID)
	if err != nil || string(got) != want || read != editor || editor == checksum {
		t.Errorf("%s with %s, set with %s: %v", got, read, editor, err)
	}
	if now, claims, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil || claims.Custom != "" || string(now.Claims) != want {
		t.Errorf("the token that is out: %q, its session %s: %v", claims.Custom, now.Claims, err)
	}
	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	if got := k.claimsOf(t, pair); got != want {
		t.Errorf("after a refresh: %s", got)
	}
	if loaded, err := k.Load(t.Context(), session.ID); err != nil || loaded.Checksum != session.Checksum || !loaded.UpdatedAt.Equal(session.UpdatedAt) {
		t.Errorf("the data was concerned: %+v, %v", loaded, err)
	}
	if _, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":2}`)); err != nil {
		t.Errorf("what was read of the data before: %v", err)
	}
	if last, err := k.SetClaims(t.Context(), session.ID, editor, []byte(`{}`), sessionstore.SetClaimsOptions{}); err != nil || last != checksum {
		t.Errorf("no claims again: %s, want %s: %v", last, checksum, err)
	}
	if got := k.claimsOf(t, k.refresh(t, pair.RefreshToken, sessionstore.StillFresh)); got != "" {
		t.Errorf("a pair that is given again: %s", got)
	}
}

// A write based on an outdated version is refused with the present one. That applies to
// a repeated request, too: nothing is written twice.
func TestSetClaimsConflict(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{Claims: []byte(`{"n":0}`)})
	_, first, err := k.LoadClaims(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	next, err := k.SetClaims(t.Context(), session.ID, first, []byte(`{"n":1}`), supersede)
	if err != nil {
		t.Fatal(err)
	}
	row := k.row(t, session.ID)
	for _, checksum := range []string{first, "", "nonsense", first[:len(first)-1] + "\x00", session.Checksum} {
		_, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(`{"n":1}`), supersede)
		if e, ok := errors.AsType[*sessionstore.ConflictError](err); !ok || e.Checksum != next {
			t.Errorf("%q: %v", checksum, err)
		}
	}
	// The same claims are already written.
	if again, err := k.SetClaims(t.Context(), session.ID, next, []byte(`{ "n": 1 }`), sessionstore.SetClaimsOptions{}); err != nil || again != next {
		t.Errorf("%s, %v", again, err)
	}
	if now := k.row(t, session.ID); now != row {
		t.Errorf("the row was written: %s, it was %s", now, row)
	}
}

// row is a version of a session's row of tokens, and what it has.
func (k kit) row(t *testing.T, session uuid.UUID) (version string) {
	t.Helper()
	if err := k.pool.QueryRow(t.Context(), `SELECT ctid::text || xmin::text || t::text FROM "sessionStoreToken" t WHERE "session" = $1`, session).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// Of writers that have read the same one wins.
func TestSetClaimsAtOnce(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	_, checksum, err := k.LoadClaims(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var winner atomic.Value
	together(8, func(n int) {
		claims := fmt.Sprintf(`{"n":%d}`, n)
		switch _, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(claims), sessionstore.SetClaimsOptions{Supersede: n%2 == 0}); {
		case err == nil:
			won.Add(1)
			winner.Store(claims)
		case !errors.Is(err, sessionstore.ErrConflict):
			t.Error(err)
		}
	})
	if got, _, err := k.LoadClaims(t.Context(), session.ID); err != nil || won.Load() != 1 || string(got) != winner.Load() {
		t.Errorf("%d have won, the last of them %v; there is %s, %v", won.Load(), winner.Load(), got, err)
	}
}

func TestSetClaimsOfNoSession(t *testing.T) {
	t.Parallel()
	k := setup(t)
	revoked, _ := k.create(t, sessionstore.CreateParams{Claims: []byte(`{"n":1}`)})
	expired, _ := k.create(t, sessionstore.CreateParams{Claims: []byte(`{"n":1}`)})
	if err := k.Invalidate(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	k.age(t, expired.ID, 10_000*time.Hour)
	for id, want := range map[uuid.UUID]error{revoked.ID: sessionstore.ErrEnded, expired.ID: sessionstore.ErrEnded, uuid.New(): sessionstore.ErrNotFound} {
		for _, options := range []sessionstore.SetClaimsOptions{{}, supersede} {
			_, checksum, err := k.LoadClaims(t.Context(), id)
			if errors.Is(want, sessionstore.ErrEnded) != (err == nil) {
				t.Errorf("load: %v", err)
			}
			if _, err := k.SetClaims(t.Context(), id, checksum, []byte(`{"n":2}`), options); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "claims" <> '{"n":1}' OR "supersededXid" IS NOT NULL`); n != 0 {
		t.Errorf("%d were written", n)
	}
}

func TestSetClaimsRefused(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for claims, want := range map[string]string{
		`[]`:              "claims: not a JSON object",
		`{"Sub":"root"}`:  "claims/Sub: reserved",
		`{"a":1,"a":1}`:   "claims/a: given twice",
		`{"scope":"a\t"}`: "claims/scope: not a scope",
		`{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes) + `"}`: "claims: longer than 4096 bytes",
	} {
		_, err := k.SetClaims(t.Context(), uuid.New(), "x", []byte(claims), supersede)
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%.20s: %v, want %s", claims, err, want)
		}
	}
	if got := k.queries.Load(); got != 0 {
		t.Errorf("%d statements were sent", got)
	}
}

// Tokens already issued are refused at once, including the predecessor's, and every way
// to a pair gives one with the new claims. No client is signed out, even if its answer is
// lost or it comes late.
func TestSupersede(t *testing.T) {
	t.Parallel()
	const want = `{"role":"viewer"}`
	for name, test := range map[string]struct {
		prepare func(k kit, session uuid.UUID)
		present func(first, newest sessionstore.TokenPair) tokens.Secret
		outcome sessionstore.Outcome
	}{
		"the newest, at once": {
			func(kit, uuid.UUID) {}, func(_, newest sessionstore.TokenPair) tokens.Secret { return newest.RefreshToken }, sessionstore.StillFresh,
		},
		"the newest, later": {
			func(k kit, session uuid.UUID) { k.age(t, session, time.Hour) },
			func(_, newest sessionstore.TokenPair) tokens.Secret { return newest.RefreshToken }, sessionstore.Rotated,
		},
		"the predecessor, at once": {
			func(kit, uuid.UUID) {}, func(first, _ sessionstore.TokenPair) tokens.Secret { return first.RefreshToken }, sessionstore.Raced,
		},
		"the predecessor, whose answer was lost": {
			func(k kit, session uuid.UUID) { k.age(t, session, time.Hour) },
			func(first, _ sessionstore.TokenPair) tokens.Secret { return first.RefreshToken }, sessionstore.RetriedLate,
		},
		"a pair that the database has lost": {
			func(k kit, _ uuid.UUID) { k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = "generation" - 1`) },
			func(_, newest sessionstore.TokenPair) tokens.Secret { return newest.RefreshToken }, sessionstore.Healed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			session, first := k.create(t, sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`)})
			newest := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
			for _, pair := range []sessionstore.TokenPair{first, newest} {
				if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil {
					t.Fatalf("before: %v", err)
				}
			}
			k.exec(t, `UPDATE "sessionStoreToken" SET "confirmedAt" = NULL`) // of the answers that are lost
			k.setClaims(t, session.ID, want, supersede)
			for _, pair := range []sessionstore.TokenPair{first, newest} {
				if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrSuperseded) {
					t.Errorf("after: %v", err)
				}
			}
			test.prepare(k, session.ID)
			pair := k.refresh(t, test.present(first, newest), test.outcome)
			if got := k.claimsOf(t, pair); got != want {
				t.Errorf("%s", got)
			}
			if before, now := k.custom(t, newest).Generation, k.custom(t, pair).Generation; now < before+2 {
				t.Errorf("the access token has generation %d after %d", now, before)
			}
			if _, _, err := k.Get(t.Context(), string(newest.AccessToken)); !errors.Is(err, sessionstore.ErrSuperseded) {
				t.Errorf("the old one again: %v", err)
			}
			k.age(t, session.ID, time.Hour)
			if got := k.claimsOf(t, k.refresh(t, pair.RefreshToken, sessionstore.Rotated)); got != want {
				t.Errorf("later: %s", got)
			}
		})
	}
}

// A repeated creation gets a valid pair.
func TestSupersedeBeforeARepeatedCreation(t *testing.T) {
	t.Parallel()
	k := setup(t)
	params := sessionstore.CreateParams{Claims: []byte(`{"n":1}`), IdempotencyKey: "once"}
	session, _ := k.create(t, params)
	k.setClaims(t, session.ID, `{"n":2}`, supersede)
	if again, pair := k.create(t, params); again.ID != session.ID || k.claimsOf(t, pair) != `{"n":2}` {
		t.Errorf("%v, want %v, with %s", again.ID, session.ID, k.claimsOf(t, pair))
	}
}

// A refresh alongside it either comes first, and then its token is refused, or it gives
// the new claims. No refresh is refused for that, and no write is lost.
func TestSupersedeRacesRefreshes(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Grace = time.Microsecond // each refresh is a rotation
	k := setupWith(t, cfg)
	const rounds = 30
	session, pair := k.create(t, sessionstore.CreateParams{})
	for n := range rounds {
		want := fmt.Sprintf(`{"n":%d}`, n)
		var refreshed sessionstore.Refreshed
		together(2, func(who int) {
			if who == 0 {
				k.setClaims(t, session.ID, want, supersede)
				return
			}
			var err error
			if refreshed, err = k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil || refreshed.Outcome != sessionstore.Rotated {
				t.Errorf("%v, %v", refreshed.Outcome, err)
			}
		})
		if t.Failed() {
			return
		}
		pair = refreshed.Pair
		_, _, err := k.Get(t.Context(), string(pair.AccessToken))
		if isNew := k.custom(t, pair).Custom == want; isNew && err != nil || !isNew && !errors.Is(err, sessionstore.ErrSuperseded) {
			t.Errorf("round %d: the new claims: %v, accepted: %v", n, isNew, err)
		}
	}
	if got := k.claimsOf(t, k.refresh(t, pair.RefreshToken, sessionstore.Rotated)); got != fmt.Sprintf(`{"n":%d}`, rounds-1) {
		t.Errorf("at last %s", got)
	}
}

// Both orders are possible, and no deadlock; the session has ended after either.
func TestSupersedeRacesRevocation(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for range 30 {
		session, pair := k.create(t, sessionstore.CreateParams{})
		_, checksum, err := k.LoadClaims(t.Context(), session.ID)
		if err != nil {
			t.Fatal(err)
		}
		together(2, func(who int) {
			if who == 0 {
				if err := k.Invalidate(t.Context(), session.ID); err != nil {
					t.Error(err)
				}
			} else if _, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(`{"n":1}`), supersede); err != nil && !errors.Is(err, sessionstore.ErrEnded) {
				t.Error(err)
			}
		})
		if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a refresh afterwards: %v", err)
		}
	}
}

// Nothing that is indexed changes with claims, and what is indexed of superseded tokens
// does not change with their successors.
func TestSetClaimsIsHeapOnly(t *testing.T) {
	t.Parallel()
	k := setupFast(t, rotating())
	k.exec(t, `ALTER TABLE "sessionStoreToken" SET (autovacuum_enabled = off)`)
	session, pair := k.create(t, sessionstore.CreateParams{})
	k.setClaims(t, session.ID, `{"n":0}`, supersede)
	k.pool.Reset()
	const superseding, times = 1, 6 // all versions fit into the page: what waits elsewhere on the server may keep them
	for n := range times {
		k.setClaims(t, session.ID, fmt.Sprintf(`{"n":%d}`, n+1), sessionstore.SetClaimsOptions{})
		pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	}
	if updates, hot := k.tableUpdates(t, superseding+2*times); updates != superseding+2*times || hot < 2*times {
		t.Errorf("%d of %d updates were heap-only", hot, updates)
	}
}

// Sealed data is not affected: the ciphertext stays, and no key is needed.
func TestSetClaimsBesideSealedData(t *testing.T) {
	t.Parallel()
	k := setupWith(t, sealing(t, newKeyset(t)))
	session, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"a":1}`)})
	sealed := func() (data string) {
		if err := k.pool.QueryRow(t.Context(), `SELECT "data"::text || "checksum" || "updatedAt" FROM "sessionStore" WHERE "id" = $1`, session.ID).Scan(&data); err != nil {
			t.Fatal(err)
		}
		return data
	}
	before := sealed()
	other := kit{Store: newStore(t, k.pool, k.ring, config()), pool: k.pool}
	other.setClaims(t, session.ID, `{"n":1}`, supersede)
	if after := sealed(); after != before {
		t.Errorf("it was %s and is %s", before, after)
	}
}

// How the user authenticated, and who acts for them, is not part of the session's own
// claims: reading and replacing those leaves it alone.
func TestSetClaimsBesideAContext(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, params := range map[string]sessionstore.CreateParams{
		"alone":       {},
		"with claims": {Claims: []byte(`{"role":"a\nb, \"c\"}"}`)},
	} {
		params.Authentication = &tokens.Authentication{ACR: "gold", AMR: []string{"pwd", "otp"}, AuthTime: time.Unix(1700000000, 0).UTC()}
		params.Actor = &tokens.Actor{Subject: "support-7"}
		session, pair := k.create(t, params)
		context := session.Context

		own, checksum, err := k.LoadClaims(t.Context(), session.ID)
		if err != nil || string(own) != string(session.Claims) {
			t.Fatalf("%s: %s, %v", name, own, err)
		}
		for _, claims := range []string{`{"n":[1,{"acr":"x"}],"role":"editor"}`, `{}`, `{"role":"viewer"}`} {
			if checksum, err = k.SetClaims(t.Context(), session.ID, checksum, []byte(claims), sessionstore.SetClaimsOptions{Supersede: true}); err != nil {
				t.Fatalf("%s, %s: %v", name, claims, err)
			}
			read, sum, err := k.LoadClaims(t.Context(), session.ID)
			if err != nil || sum != checksum || cmp.Or(string(read), "{}") != claims {
				t.Errorf("%s, %s: read %s, %v", name, claims, read, err)
			}
			refreshed, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
			if err != nil {
				t.Fatal(err)
			}
			pair = refreshed.Pair
			got, token, err := k.Get(t.Context(), string(pair.AccessToken))
			if err != nil || cmp.Or(string(got.Claims), "{}") != claims {
				t.Fatalf("%s, %s: the session has %s, %v", name, claims, got.Claims, err)
			}
			if diff := gocmp.Diff([]tokens.Context{context, context}, []tokens.Context{got.Context, token.Context}); diff != "" {
				t.Errorf("%s, %s: %s", name, claims, diff)
			}
		}

		// The two share their room.
		long := []byte(`{"x":"` + strings.Repeat("y", tokens.MaxCustomBytes-20) + `"}`)
		_, err = k.SetClaims(t.Context(), session.ID, checksum, long, sessionstore.SetClaimsOptions{})
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || e.Field != "claims" {
			t.Errorf("%s: longer than both may be: %v", name, err)
		}
		if _, sum, err := k.LoadClaims(t.Context(), session.ID); err != nil || sum != checksum {
			t.Errorf("%s: they were written: %v", name, err)
		}
	}
}
