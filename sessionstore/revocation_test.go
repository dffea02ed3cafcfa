package sessionstore_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var revocationRounds = flag.Int("revocation.rounds", 6, "how often TestRevocationBesideEverything races each two operations")

// arena is where operations on one session are raced.
type arena struct {
	compas
	cfg              sessionstore.Config
	ending, refusing *sessionstore.Store // have room for one session of a subject
	editing          *sessionstore.Store // asks the program about each new pair
	thumbprint       string              // of a client's key
}

func setupArena(t *testing.T) *arena {
	t.Helper()
	cfg := sealing(t, newKeyset(t))
	cfg.CompasSigningKey = compasKey
	cfg.Grace = 1                                                 // ns: every refresh with the newest token rotates it, and every predecessor is late
	cfg.Leaks = &leakTable{fail: errors.New("the queue is full")} // reports are kept
	a := &arena{compas: compas{kit: setupFast(t, cfg), accessTTL: 10 * time.Minute, refreshTTL: 48 * time.Hour}, cfg: cfg, thumbprint: testkeys.NewDevice(t).Thumbprint(t)}
	a.exec(t, `CREATE TABLE "leaks" ("report" jsonb)`)
	cfg.SessionsPerSubject = 1
	a.ending = newStore(t, a.pool, a.ring, cfg)
	cfg.SessionsPerSubjectAction = sessionstore.RefuseNew
	a.refusing = newStore(t, a.pool, a.ring, cfg)
	cfg = a.cfg
	cfg.PairFor = func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
		return sessionstore.PairParams{Claims: []byte(`{"n":` + fmt.Sprint(rand.Int()) + `}`), AccessTokenTTL: 7 * time.Minute, RefreshTokenTTL: 36 * time.Hour}, nil
	}
	a.editing = newStore(t, a.pool, a.ring, cfg)
	return a
}

// contested is a session that has been refreshed twice.
type contested struct {
	*arena
	id            uuid.UUID
	subject       string
	old           tokens.Secret // refresh tokens
	former, newer tokens.Secret
	access        tokens.Secret
	waiting       compasPair // of Compas, still to be taken over, if that has made the session

	mu         sync.Mutex
	gotten     []sessionstore.TokenPair // by the operations
	successors []uuid.UUID              // sessions that took its place
}

// contest makes a session, which Compas has begun if so wanted.
func (a *arena) contest(t *testing.T, ofCompas bool) *contested {
	t.Helper()
	s := &contested{arena: a, subject: uuid.NewString()}
	if ofCompas {
		first := a.signIn(t, `{}`)
		a.exec(t, `UPDATE "sessionStore" SET "subject" = $2 WHERE "id" = $1`, first.session, s.subject)
		s.id, s.old = first.session, a.refresh(t, first.refresh, sessionstore.Rotated).RefreshToken
	} else {
		session, pair := a.create(t, sessionstore.CreateParams{Subject: s.subject, IdempotencyKey: s.subject})
		s.id, s.old = session.ID, pair.RefreshToken
	}
	s.former = a.refresh(t, s.old, sessionstore.Rotated).RefreshToken
	newest := a.refresh(t, s.former, sessionstore.Rotated)
	s.newer, s.access = newest.RefreshToken, newest.AccessToken
	if ofCompas {
		s.waiting = a.issue(t, s.id)
	}
	return s
}

// present refreshes, and keeps what it gets.
func (s *contested) present(ctx context.Context, store *sessionstore.Store, token tokens.Secret) error {
	return s.presentWith(ctx, store, token, "")
}

// presentWith is present with a proof of the key with that thumbprint, if it is not empty.
func (s *contested) presentWith(ctx context.Context, store *sessionstore.Store, token tokens.Secret, thumbprint string) error {
	got, err := store.RefreshTokensWithProof(ctx, string(token), thumbprint, sessionstore.Client{})
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gotten = append(s.gotten, got.Pair)
	}
	return err
}

// revokeAnew revokes as a replica does that remembers an end that the database has lost.
func (s *contested) revokeAnew(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = sessionstore.RevokeAnew(ctx, conn.Conn(), []revocations.Ended{{ID: s.id, At: time.Now(), Reason: string(sessionstore.ReasonOperator)}})
	return err
}

// createAgain sends its creation again, which is another's where there was none with that key.
func (s *contested) createAgain(ctx context.Context) error {
	session, pair, err := s.Create(ctx, sessionstore.CreateParams{Subject: s.subject, IdempotencyKey: s.subject})
	if err == nil && session.ID == s.id {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gotten = append(s.gotten, pair)
	}
	return err
}

// replace has another session take its place, and keeps which.
func (s *contested) replace(ctx context.Context, store *sessionstore.Store, params sessionstore.CreateParams) error {
	session, _, err := store.Replace(ctx, sessionstore.Replaced{SessionID: s.id}, params)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.successors = append(s.successors, session.ID)
	}
	return err
}

// shared calls do twice, in one statement, and returns the first error.
func (s *contested) shared(t *testing.T, do func(store *sessionstore.Store, i int) error) error {
	t.Helper()
	const n = 2
	store := newStore(t, s.pool, s.ring, s.cfg)
	release := store.Hold(t, n)
	var errs [n]error
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(store, i) })
	}
	release()
	all.Wait()
	return cmp.Or(errs[:]...)
}

func (s *contested) remove(ctx context.Context, kind cleanup.Kind, id uuid.UUID) error {
	const future = -10_000 * time.Hour
	_, err := s.RemoveDue(ctx, cleanup.Rule{Kind: kind, After: future}, []uuid.UUID{id}, time.Minute)
	return err
}

func (s *contested) claims(ctx context.Context, options sessionstore.SetClaimsOptions) error {
	_, checksum, err := s.LoadClaims(ctx, s.id)
	if err == nil {
		_, err = s.SetClaims(ctx, s.id, checksum, []byte(`{"n":`+fmt.Sprint(rand.Int())+`}`), options)
	}
	return err
}

// move is an operation that writes.
type move struct {
	name string
	// ends says that the session has ended once it is answered.
	ends bool
	// mayEnd says that the session may have, for cleanup passes over what is in use.
	mayEnd bool
	// ofCompas says that Compas must have begun the session.
	ofCompas bool
	// byWaiting says that it names the session by the token that is still to be taken over.
	// Once cleanup has removed its row, such a token is unknown: that is not an error, and
	// ends nothing (RFC 7009 §2.2).
	byWaiting bool
	// binds says that it binds the session to a key, bare that it presents a token without a proof. A bare token
	// after the session was bound is a theft, so the two are not a race with only valid outcomes.
	binds, bare bool
	do          func(ctx context.Context, t *testing.T, s *contested) error
}

var moves = []move{
	{name: "Invalidate", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.Invalidate(ctx, s.id) }},
	{name: "InvalidateOwn", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.InvalidateOwn(ctx, s.subject, s.id)
	}},
	{name: "Invalidate in a shared statement", ends: true, do: func(ctx context.Context, t *testing.T, s *contested) error {
		t.Helper()
		fellow, _ := s.create(t, sessionstore.CreateParams{Subject: s.subject})
		return s.shared(t, func(store *sessionstore.Store, i int) error {
			return store.Invalidate(ctx, []uuid.UUID{s.id, fellow.ID}[i])
		})
	}},
	{name: everySession, ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.InvalidateSubject(ctx, s.subject, uuid.Nil)
		return err
	}},
	{name: everyone, ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.InvalidateAll(ctx, nil)
		return err
	}},
	{name: "RevokeToken", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.RevokeToken(ctx, string(s.newer))
	}},
	{name: "RevokeToken of Compas", ends: true, ofCompas: true, byWaiting: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.RevokeToken(ctx, string([]tokens.Secret{s.waiting.refresh, s.waiting.access}[rand.IntN(2)]))
	}},
	{name: "InvalidateSubject but for one", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.InvalidateSubject(ctx, s.subject, uuid.New())
		return err
	}},
	{name: "creation that ends the oldest", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, _, err := s.ending.Create(ctx, sessionstore.CreateParams{Subject: s.subject})
		return err
	}},
	{name: "theft", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		if err := s.present(ctx, s.Store, s.old); !errors.Is(err, sessionstore.ErrReuse) {
			return cmpError(err, "a stolen token was taken")
		}
		return nil
	}},
	{name: "replacement", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.replace(ctx, s.Store, sessionstore.CreateParams{Data: [][]byte{nil, []byte(`{"n":0}`)}[rand.IntN(2)]})
	}},
	{name: "replacement within a limit", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.replace(ctx, s.ending, sessionstore.CreateParams{})
	}},
	{name: "revocation that was lost", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.revokeAnew(ctx) }},
	{name: "operator's UPDATE", ends: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		// More than once, in separate transactions.
		for range 2 {
			if _, err := s.pool.Exec(ctx, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, s.id); err != nil {
				return err
			}
		}
		return nil
	}},

	{name: "creation", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, _, err := s.Create(ctx, sessionstore.CreateParams{Subject: s.subject})
		return err
	}},
	{name: "creation that is refused", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, _, err := s.refusing.Create(ctx, sessionstore.CreateParams{Subject: s.subject})
		return err
	}},
	{name: "creation that is sent again", do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.createAgain(ctx) }},
	{name: "refresh", bare: true, do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.present(ctx, s.Store, s.newer) }},
	{name: "refresh in a shared statement", bare: true, do: func(ctx context.Context, t *testing.T, s *contested) error {
		t.Helper()
		return s.shared(t, func(store *sessionstore.Store, _ int) error { return s.present(ctx, store, s.newer) })
	}},
	{name: "refresh with other claims and lifetimes", bare: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.present(ctx, s.editing, s.newer)
	}},
	{name: "refresh that binds to a key", binds: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.presentWith(ctx, s.Store, s.newer, s.thumbprint)
	}},
	{name: "late retry", bare: true, do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.present(ctx, s.Store, s.former) }},
	{name: "confirmation", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, _, err := s.Get(ctx, string(s.access))
		return err
	}},
	{name: "take-over from Compas with other claims and lifetimes", ofCompas: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.present(ctx, s.editing, s.waiting.refresh)
	}},
	{name: "take-over from Compas", ofCompas: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.present(ctx, s.Store, s.waiting.refresh)
	}},
	{name: "update of data", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		session, err := s.Load(ctx, s.id)
		if err != nil {
			return err
		}
		_, err = s.Update(ctx, s.id, session.Checksum, []byte(`{"n":`+fmt.Sprint(rand.Int())+`}`))
		return err
	}},
	{name: "update of data in a shared statement", do: func(ctx context.Context, t *testing.T, s *contested) error {
		t.Helper()
		session, err := s.Load(ctx, s.id)
		if err != nil {
			return err
		}
		fellow, _ := s.create(t, sessionstore.CreateParams{Subject: s.subject})
		return s.shared(t, func(store *sessionstore.Store, i int) error {
			of := []sessionstore.Session{session, fellow}[i]
			_, err := store.Update(ctx, of.ID, of.Checksum, []byte(`{"n":`+fmt.Sprint(rand.Int())+`}`))
			if i == 1 {
				return nil // it may have ended with the others of its subject
			}
			return err
		})
	}},
	{name: "claims", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.claims(ctx, sessionstore.SetClaimsOptions{})
	}},
	{name: "claims that supersede", do: func(ctx context.Context, _ *testing.T, s *contested) error { return s.claims(ctx, supersede) }},
	{name: "patch", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		label := fmt.Sprint("kiosk ", rand.Int())
		_, err := s.Patch(ctx, s.id, sessionstore.Patch{Label: &label, Lifetimes: sessionstore.Lifetimes{AccessToken: 7 * time.Minute}})
		return err
	}},
	{name: "patch that supersedes", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.Patch(ctx, s.id, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}})
		return err
	}},
	{name: "own patch", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		label := fmt.Sprint("phone ", rand.Int())
		_, err := s.PatchOwn(ctx, s.subject, s.id, sessionstore.Patch{Label: &label})
		return err
	}},
	{name: "reports that were kept", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.EnqueueKeptLeaks(ctx, &leakTable{})
		return err
	}},
	{name: "reseal", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		_, err := s.Reseal(ctx, sessionstore.Reseal{Unseal: rand.IntN(2) == 0})
		return err
	}},
	{name: "cleanup of expired", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.remove(ctx, cleanup.Expired, s.id)
	}},
	{name: "cleanup of revoked", do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.remove(ctx, cleanup.Revoked, s.id)
	}},
	{name: "cleanup of aged", mayEnd: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.remove(ctx, cleanup.Aged, s.id)
	}},
	{name: "cleanup of superfluous", ofCompas: true, do: func(ctx context.Context, _ *testing.T, s *contested) error {
		return s.remove(ctx, cleanup.Superfluous, s.waiting.refreshRow)
	}},
}

// cmpError describes the error, or its absence.
func cmpError(err error, none string) error {
	if err == nil {
		return errors.New(none)
	}
	return err
}

// isAnswer reports whether an error says what became of the session.
func isAnswer(err error) bool {
	return err == nil || slices.ContainsFunc([]error{
		sessionstore.ErrEnded, sessionstore.ErrNotFound, sessionstore.ErrReuse, sessionstore.ErrConflict,
		sessionstore.ErrTooManySessions, sessionstore.ErrNotReplaceable, sessionstore.ErrCleanupRunning, sessionstore.ErrSuperseded,
	}, func(want error) bool { return errors.Is(err, want) })
}

// check checks what two moves left behind.
func (s *contested) check(t *testing.T, ended bool, errs [2]error) {
	t.Helper()
	for _, err := range errs {
		if !isAnswer(err) {
			t.Errorf("it failed: %v", err)
		}
		ended = ended || errors.Is(err, sessionstore.ErrReuse)
	}
	there := s.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1`, s.id) == 1
	if !ended && there {
		if n := s.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1 AND "revokedAt" IS NULL`, s.id); n != 1 {
			t.Errorf("a session that was not ended is revoked (%v)", errs)
		}
		wasRemoved := s.waiting.session != uuid.Nil && s.isUnknown(t)
		for _, err := range errs {
			if wasRemoved && errors.Is(err, sessionstore.ErrNotFound) {
				continue
			}
			if errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, sessionstore.ErrNotFound) || errors.Is(err, sessionstore.ErrNotReplaceable) {
				t.Errorf("a session that was not ended is refused: %v", err)
			}
		}
		return
	}
	if n := s.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1 AND "revokedAt" IS NULL`, s.id); ended && n != 0 {
		t.Error("the session is not revoked")
	}
	if n := s.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "accessExpiresAt" IS NOT NULL AND "revokedAt" IS NULL`, s.id); n != 0 {
		t.Errorf("%d pairs are live", n)
	}
	refresh, access := []tokens.Secret{s.newer, s.former, s.old}, []tokens.Secret{s.access}
	if s.waiting.session != uuid.Nil {
		refresh, access = append(refresh, s.waiting.refresh), append(access, s.waiting.access)
	}
	for _, pair := range s.gotten {
		refresh, access = append(refresh, pair.RefreshToken), append(access, pair.AccessToken)
	}
	for i, token := range refresh {
		proofs := []string{"", s.thumbprint}
		if i > 0 { // without a proof or with one: either shows whether the session is live
			n := rand.IntN(len(proofs))
			proofs = proofs[n : n+1]
		}
		for _, thumbprint := range proofs {
			got, err := s.RefreshTokensWithProof(t.Context(), string(token), thumbprint, sessionstore.Client{})
			if thumbprint == "" && errors.Is(err, sessionstore.ErrNotProven) {
				continue // it is bound
			}
			if !errors.Is(err, sessionstore.ErrEnded) && !errors.Is(err, sessionstore.ErrNotFound) {
				t.Errorf("a refresh after the end: %v, %v", got.Outcome, err)
			}
		}
	}
	for _, token := range access {
		if _, _, err := s.Get(t.Context(), string(token)); !errors.Is(err, sessionstore.ErrEnded) && !errors.Is(err, sessionstore.ErrNotFound) {
			t.Errorf("a strict check after the end: %v", err)
		}
	}
}

// isUnknown reports whether the token that is still to be taken over was cleaned up, and its
// session is live.
func (s *contested) isUnknown(t *testing.T) bool {
	t.Helper()
	return s.count(t, `SELECT count(*) FROM "sessionStore" s WHERE "id" = $1 AND "revokedAt" IS NULL
		AND NOT EXISTS (SELECT FROM "sessionStoreToken" WHERE "id" = $2)`, s.id, s.waiting.refreshRow) == 1
}

// race makes two moves on one session, the second a little after the first.
func (a *arena) race(t *testing.T, one, other move) {
	t.Helper()
	s := a.contest(t, one.ofCompas || other.ofCompas)
	var errs [2]error
	later := time.Duration(rand.IntN(3000)) * time.Microsecond
	together(2, func(i int) {
		if i == 0 {
			errs[0] = one.do(t.Context(), t, s)
			return
		}
		time.Sleep(later)
		errs[1] = other.do(t.Context(), t, s)
	})
	// A move that ends the session did not end it if the other had removed or ended it.
	hasEnded := func(m move, err error) bool { return m.ends && err == nil && (!m.byWaiting || !s.isUnknown(t)) }
	ended := hasEnded(one, errs[0]) || hasEnded(other, errs[1])
	if one.mayEnd || other.mayEnd {
		ended = ended || s.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1 AND "revokedAt" IS NOT NULL`, s.id) == 1
	}
	s.check(t, ended, errs)
	if one.name == everySession && errs[0] == nil || other.name == everySession && errs[1] == nil {
		if n := s.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = ANY ($1) AND "revokedAt" IS NULL`, s.successors); n != 0 {
			t.Error("the session in its place is there after a sign-out everywhere")
		}
	}
	if len(s.successors) > 1 {
		t.Errorf("%d sessions took its place", len(s.successors))
	}
	// In the usual lock order, because others are still running.
	a.exec(t, `DELETE FROM "sessionStore" WHERE "id" IN (SELECT "id" FROM "sessionStore" WHERE "id" = $1 OR "subject" = $2 ORDER BY "id" FOR UPDATE)`, s.id, s.subject)
	if t.Failed() {
		t.Fatalf("%s and, %v later, %s: %v", one.name, later, other.name, errs)
	}
}

// Once a revocation has been answered, nothing of its session refreshes or passes a
// strict check, whatever else was done at the same time; nothing deadlocks; and no
// other session ends.
func TestRevocationBesideEverything(t *testing.T) {
	t.Parallel()
	bystanders := setupArena(t)
	spared := bystanders.contest(t, true)
	var races atomic.Int64
	for i, one := range moves {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			alone := sync.OnceValue(func() *arena { return setupArena(t) })
			for _, other := range moves[i:] {
				if one.binds && other.bare || one.bare && other.binds {
					continue
				}
				a := bystanders
				if one.name == everyone || other.name == everyone {
					a = alone() // where nobody is spared
				}
				rounds := *revocationRounds
				if !one.ends && !other.ends {
					rounds = (rounds + 2) / 3
				}
				for range rounds {
					a.race(t, one, other)
					races.Add(1)
				}
				a.wantNoDeadlock(t)
			}
		})
	}
	t.Cleanup(func() {
		if err := spared.present(context.WithoutCancel(t.Context()), spared.Store, spared.newer); err != nil {
			t.Errorf("a session of another user: %v", err)
		}
		t.Logf("%d races of up to %d pairs of operations", races.Load(), len(moves)*(len(moves)+1)/2)
	})
}

const (
	// everyone is the move that ends all sessions.
	everyone = "InvalidateAll"
	// everySession is the move that ends all sessions of the subject.
	everySession = "InvalidateSubject"
)

// wantNoDeadlock reads PostgreSQL's own count, which is of this database alone.
func (k kit) wantNoDeadlock(t *testing.T) {
	t.Helper()
	if n := k.count(t, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// The pair that is made while a revocation waits for its session is revoked with it.
func TestRevocationSeesWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	for _, revocation := range moves {
		if !revocation.ends {
			continue
		}
		t.Run(revocation.name, func(t *testing.T) {
			t.Parallel()
			a := setupArena(t)
			s := a.contest(t, true)
			holder := a.hold(t, s.id)
			var both sync.WaitGroup
			var errs [2]error
			both.Go(func() { errs[0] = s.present(t.Context(), s.Store, s.waiting.refresh) })
			a.awaitWaiting(t, 1)
			both.Go(func() { errs[1] = revocation.do(t.Context(), t, s) })
			a.awaitWaiting(t, 2)
			if err := holder.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			both.Wait()
			if revocation.name == everyone && errors.Is(errs[0], sessionstore.ErrEnded) && errs[1] == nil {
				return // it ended without waiting, before the pair was made
			}
			if errs[0] != nil || errs[1] != nil || len(s.gotten) != 1 {
				t.Fatalf("%v, %d pairs", errs, len(s.gotten))
			}
			s.check(t, true, errs)
		})
	}
}

// hold locks a session until the transaction, or the test, ends.
func (a *arena) hold(t *testing.T, session uuid.UUID) pgx.Tx {
	t.Helper()
	holder, err := a.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) })
	if _, err := holder.Exec(t.Context(), `SELECT FROM "sessionStore" WHERE "id" = $1 FOR NO KEY UPDATE`, session); err != nil {
		t.Fatal(err)
	}
	return holder
}

// An operator's session may have another isolation level, which hides what was made while
// its statement waited: it must then get an error, and revoke nothing.
func TestRevocationByHandAtAnyLevel(t *testing.T) {
	t.Parallel()
	a := setupArena(t)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		s := a.contest(t, true)
		// Compas was stopped while it rotated the token: nothing of the row is changed any more.
		a.exec(t, `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "id" = $1`, s.waiting.refreshRow)
		holder := a.hold(t, s.id)
		var both sync.WaitGroup
		var takeOver, byHand error
		both.Go(func() { takeOver = s.present(t.Context(), s.Store, s.waiting.refresh) })
		a.awaitWaiting(t, 1)
		both.Go(func() {
			byHand = pgx.BeginTxFunc(t.Context(), a.pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, s.id)
				return err
			})
		})
		a.awaitWaiting(t, 2)
		if err := holder.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		both.Wait()
		if takeOver != nil {
			t.Fatalf("%s: %v", level, takeOver)
		}
		if answer, ok := errors.AsType[*pgconn.PgError](byHand); ok && answer.Code == "40001" && level != pgx.ReadCommitted {
			a.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, s.id) // again, as the error asks for
		} else if byHand != nil {
			t.Fatalf("%s: %v", level, byHand)
		}
		s.check(t, true, [2]error{})
	}
}

// awaitWaiting waits until this many connections wait for a lock.
func (k kit) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	k.await(t, fmt.Sprintf("%d that wait for a lock", n), func() bool {
		return k.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == n
	})
}

// An operator may revoke one session more than once, and learns that it stays revoked.
func TestRevocationByHand(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	xid := func() (xid string) {
		t.Helper()
		if err := k.pool.QueryRow(t.Context(), `SELECT "revokedXid"::text FROM "sessionStore" WHERE "id" = $1`, session.ID).Scan(&xid); err != nil {
			t.Fatal(err)
		}
		return xid
	}
	// Even at a past time, of which verifiers would not learn.
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() - interval '30 days' WHERE "id" = $1`, session.ID)
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1 AND "revokedAt" > now() - interval '1 minute'`, session.ID); n != 1 {
		t.Error("it is revoked at a time that has passed")
	}
	first := xid()
	for _, change := range []string{`NULL`, `NULL, "revokedXid" = NULL`} {
		_, err := k.pool.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = `+change+` WHERE "id" = $1`, session.ID)
		if err == nil || err.Error() != `ERROR: a session that was revoked stays revoked (SQLSTATE 23514)` {
			t.Errorf("it is taken back: %v", err)
		}
	}
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, session.ID)
	if xid() != first {
		t.Error("a session that is revoked again is reported again")
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("refresh: %v", err)
	}

	// A revocation that an earlier schema allowed to be undone is noted again.
	if err := pgx.BeginFunc(t.Context(), k.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`)
		if err == nil {
			_, err = tx.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = NULL`)
		}
		if err == nil {
			_, err = tx.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "revokedAt" = NULL`)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, session.ID)
	if xid() == first {
		t.Error("a second revocation is not told")
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("refresh after a second revocation: %v", err)
	}
}
