// Package population fills databases with sessions, and has for some of them what their clients would have: their
// tokens.
package population

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// Issuer is the tokens' issuer.
	Issuer = "http://localhost:8080"
	// AccessTokenTTL lets access tokens outlive the benchmark.
	AccessTokenTTL = 12 * time.Hour

	// Data is a session's data.
	Data = `{"cart":[{"sku":"A-1041","quantity":2},{"sku":"C-0007","quantity":1}],"locale":"en-GB","theme":"dark"}`
	// OtherData is what updates change it to.
	OtherData = `{"cart":[{"sku":"A-1041","quantity":3},{"sku":"C-0007","quantity":1}],"locale":"en-GB","theme":"dark"}`
)

// Client is who creates and refreshes sessions.
func Client() sessionstore.Client {
	return sessionstore.Client{UserAgent: load.UserAgent, IP: "127.0.0.1"}
}

// Identity is what the packages and the service have in common, so that each takes the other's tokens.
type Identity struct {
	// Keys is the private JWK set.
	Keys  tokens.Secret
	Ring  *tokens.KeyRing
	Store sessionstore.Config
}

// NewIdentity makes the key that the service makes by default.
func NewIdentity() Identity {
	key, _, err := tokens.GenerateKey("EdDSA")
	must.Do(err)
	keys := must.Get(tokens.PrependKey("", key))
	ring := must.Get(tokens.ParseKeyRing([]byte(keys)))
	return Identity{Keys: keys, Ring: ring, Store: sessionstore.Config{
		Tokens:    tokens.Config{Issuer: Issuer, Audience: "latchkey", ClientID: "latchkey"},
		Lifetimes: sessionstore.Lifetimes{AccessToken: AccessTokenTTL},
		// A pair may be rotated again at once: what is measured is rotations.
		Grace: time.Nanosecond,
	}}
}

// readingShare is how much of the sample is read and has its data changed. The rest is refreshed: sessions that were
// just refreshed are recorded as in use when they are read next, which is not what is measured there.
const readingShare = 0.3

// Population is a database full of sessions, with a sample of them that represents all.
type Population struct {
	Identity

	URL  string
	Size int
	// Readers and Rotating are the sample's two parts.
	Readers, Rotating *Circle

	template  uuid.UUID // the session that all others are copies of
	signer    *tokens.Signer
	refresh   tokens.Claims // of the template's tokens
	access    tokens.Claims
	checksums [2]string
	extra     atomic.Int64 // sessions that were added later
}

// New fills an empty database with sessions, each of which was refreshed once and then used.
func New(ctx context.Context, identity Identity, url string, size, sample int) *Population {
	p := &Population{Identity: identity, URL: url, Size: size}
	p.signer = must.Get(tokens.NewSigner(identity.Ring, identity.Store.Tokens))
	for i, data := range []string{Data, OtherData} {
		p.checksums[i] = must.Get(sessionstore.Checksum([]byte(data)))
	}
	p.prepare(ctx)
	p.fill(ctx)
	p.choose(ctx, min(sample, size))
	return p
}

// prepare makes the tables, and the session that all others are copies of.
func (p *Population) prepare(ctx context.Context) {
	pool := must.Get(pgxpool.New(ctx, p.URL))
	defer pool.Close()
	must.Get(migrations.Up(ctx, pool))
	store := must.Get(sessionstore.New(pool, p.Ring, p.Store))
	session, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "template", Data: []byte(Data), Client: Client()})
	must.Do(err)
	refreshed := must.Get(store.RefreshTokens(ctx, string(pair.RefreshToken), Client()))
	_, _, err = store.Get(ctx, string(refreshed.Pair.AccessToken)) // from then on it is known to be in use
	must.Do(err)
	p.template = session.ID

	verifier := must.Get(tokens.NewVerifier(p.Ring, p.Store.Tokens))
	p.refresh = must.Get(verifier.Verify(string(refreshed.Pair.RefreshToken), tokens.RefreshToken))
	p.access = must.Get(verifier.Verify(string(refreshed.Pair.AccessToken), tokens.AccessToken))
}

// choose takes a sample that is spread evenly over all sessions, in an order in which neighbours are far apart.
func (p *Population) choose(ctx context.Context, n int) {
	const chosen = `SELECT bench_session(i), bench_pair(i), 'user-' || i / 2
		FROM unnest($1::bigint[]) WITH ORDINALITY AS sample(i, place) ORDER BY place`

	random := rand.New(rand.NewPCG(uint64(p.Size), uint64(n))) //nolint:gosec // it must be the same each time
	numbers := make([]int, n)
	for i := range numbers {
		from, to := i*p.Size/n, (i+1)*p.Size/n
		numbers[i] = from + random.IntN(to-from)
	}
	random.Shuffle(n, func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
	p.connected(ctx, func(conn *pgx.Conn) {
		all := must.Get(pgx.CollectRows(must.Get(conn.Query(ctx, chosen, numbers)), func(row pgx.CollectableRow) (*Session, error) {
			// The token's time is rounded down.
			s := &Session{Generation: p.refresh.Generation, Rotated: p.refresh.IssuedAt.Add(time.Second)}
			return s, row.Scan(&s.ID, &s.Pair, &s.subject)
		}))
		readers := int(float64(n) * readingShare)
		p.Readers, p.Rotating = &Circle{Sessions: all[:readers]}, &Circle{Sessions: all[readers:]}
	})
}

// connected lends a connection to the database.
func (p *Population) connected(ctx context.Context, do func(*pgx.Conn)) {
	conn := must.Get(pgx.Connect(ctx, p.URL))
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
	do(conn)
}

// Exec runs a statement.
func (p *Population) Exec(ctx context.Context, sql string, args ...any) {
	p.connected(ctx, func(conn *pgx.Conn) { must.Get(conn.Exec(ctx, sql, args...)) })
}

// Read reads a statement's one row.
func (p *Population) Read(ctx context.Context, sql string, into ...any) {
	p.connected(ctx, func(conn *pgx.Conn) { must.Do(conn.QueryRow(ctx, sql).Scan(into...)) })
}

// createIDs makes functions of a session's number: the id of its row, and that of its pair of tokens. Ids are UUIDv7s.
// In each the time is a millisecond later than in the previous one, so that they ascend as in a real table.
const createIDs = `
CREATE FUNCTION bench_session(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
	AS $$ SELECT (lpad(to_hex(1700000000000 + i), 12, '0') || '70008000000000000000')::uuid $$;
CREATE FUNCTION bench_pair(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
	AS $$ SELECT (lpad(to_hex(1700000000000 + i), 12, '0') || '70008000000000000001')::uuid $$`

// tables are filled, from session $1 to $2, by these statements: with copies of the one real session $3, as the store has
// made it, so that the benchmark need not know their columns. They expire so many days later: $4. Each user has two
// sessions: a phone and a computer.
var tables = []struct{ name, copy string }{
	{"sessionStore", `INSERT INTO "sessionStore" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStore" t,
		jsonb_populate_record(t, jsonb_build_object('id', bench_session(i), 'subject', 'user-' || i / 2)) AS copied
		WHERE t."id" = $3 AND $4::integer IS NOT NULL`},
	{"sessionStoreToken", `INSERT INTO "sessionStoreToken" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStoreToken" t,
		jsonb_populate_record(t, jsonb_build_object('id', bench_pair(i), 'session', bench_session(i), 'expiresOn', t."expiresOn" + $4::integer)) AS copied
		WHERE t."session" = $3`},
}

// fill makes the population's sessions, in both tables at once.
func (p *Population) fill(ctx context.Context) {
	const chunk = 200_000

	p.Exec(ctx, createIDs)
	must.Share(len(tables), len(tables), func(i int) {
		p.connected(ctx, func(conn *pgx.Conn) {
			for from := 0; from < p.Size; from += chunk {
				p.copies(ctx, conn, tables[i].copy, from, min(from+chunk, p.Size)-1, 0)
			}
			must.Get(conn.Exec(ctx, `VACUUM (FREEZE, ANALYZE) `+pgx.Identifier{tables[i].name}.Sanitize()))
		})
	})
}

// copies runs one of the two statements.
func (p *Population) copies(ctx context.Context, conn *pgx.Conn, statement string, from, to, daysLater int) {
	// Foreign keys and triggers are not checked row by row: the rows are known to fit together.
	must.Get(conn.Exec(ctx, `SET session_replication_role = replica`))
	must.Get(conn.Exec(ctx, statement, from, to, p.template, daysLater))
}

// Expired are days, before they were made, on which sessions expired that cleanup removes: they live for 30.
const Expired = -90

// Add makes n more sessions, which expire so many days later than others, and returns their ids.
func (p *Population) Add(ctx context.Context, n, daysLater int) (ids []uuid.UUID) {
	to := p.Size + int(p.extra.Add(int64(n))) - 1
	p.connected(ctx, func(conn *pgx.Conn) {
		tx := must.Get(conn.Begin(ctx))
		for _, table := range tables {
			p.copies(ctx, conn, table.copy, to-n+1, to, daysLater)
		}
		must.Do(tx.Commit(ctx))
		rows := must.Get(conn.Query(ctx, `SELECT bench_session(i) FROM generate_series($1::bigint, $2) AS i`, to-n+1, to))
		ids = must.Get(pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]))
	})
	return ids
}

// Touch changes each row of the sample once, which is what takes a table to its steady state after a checkpoint: the
// first change of a page puts the whole page into the WAL. Pairs of those that are only read are taken into memory.
func (p *Population) Touch(ctx context.Context) {
	for circle, statements := range map[*Circle][]string{
		p.Rotating: {`UPDATE "sessionStoreToken" SET "lateRetries" = "lateRetries" WHERE "session" = ANY($1)`},
		p.Readers: {
			`UPDATE "sessionStore" SET "updatedAt" = "updatedAt" WHERE "id" = ANY($1)`,
			`SELECT count("expiresAt") FROM "sessionStoreToken" WHERE "session" = ANY($1)`,
		},
	} {
		for some := range slices.Chunk(circle.Sessions, 5000) {
			var ids []uuid.UUID
			for _, s := range some {
				ids = append(ids, s.ID)
			}
			for _, statement := range statements {
				p.Exec(ctx, statement, ids)
			}
		}
	}
}

// Settle has the sessions be as if they had been refreshed long ago, so that each may be refreshed again at once
// whatever the service's grace is.
func (p *Population) Settle(ctx context.Context) {
	for _, s := range p.Rotating.Sessions {
		s.Rotated = time.Time{}
	}
	p.Exec(ctx, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 hour' WHERE "issuedAt" > now() - interval '1 minute'`)
}

// Session is one of the sample. It belongs to one worker at a time.
type Session struct {
	// ID is its row's, and Pair that of its tokens' row.
	ID, Pair   uuid.UUID
	Generation int64
	// Rotated is when it was last refreshed.
	Rotated time.Time
	// Other tells that it holds [OtherData].
	Other bool

	subject      string
	refreshToken string
}

// Rotate notes that it was refreshed. The token may be empty: it is signed when it is needed then.
func (s *Session) Rotate(refreshToken string) {
	s.Generation++
	s.refreshToken, s.Rotated = refreshToken, time.Now()
}

// Checksums returns the arguments of Update: the checksum of the session's data, and of the data that is to come.
func (p *Population) Checksums(s *Session) (now, next, nextData string) {
	if s.Other {
		return p.checksums[1], p.checksums[0], Data
	}
	return p.checksums[0], p.checksums[1], OtherData
}

// RefreshToken returns the session's newest refresh token.
func (p *Population) RefreshToken(s *Session) string {
	if s.refreshToken == "" {
		s.refreshToken = p.sign(s, p.refresh)
	}
	return s.refreshToken
}

// AccessToken returns an access token of the session. Each number gives another one, all of them valid: they expire at
// different times.
func (p *Population) AccessToken(s *Session, number int) string {
	claims := p.access
	claims.ExpiresAt = claims.ExpiresAt.Add(time.Duration(number) * time.Second)
	return p.sign(s, claims)
}

// sign makes a token of a session out of that of the template, which has been refreshed less often by now.
func (p *Population) sign(s *Session, claims tokens.Claims) string {
	claims.SessionID, claims.TokenID, claims.Subject = s.ID, s.Pair, s.subject
	claims.Generation += s.Generation - p.refresh.Generation
	return string(must.Get(p.signer.Sign(claims)))
}

// Circle is a part of the sample that is gone through again and again.
type Circle struct {
	Sessions []*Session
	next     atomic.Uint64
}

// Next returns the session that was not used for the longest time.
func (c *Circle) Next() *Session {
	return c.Sessions[(c.next.Add(1)-1)%uint64(len(c.Sessions))]
}

// Ahead returns the next n sessions, or all if there are fewer, without advancing.
func (c *Circle) Ahead(n int) []*Session {
	from := int(c.next.Load() % uint64(len(c.Sessions))) //nolint:gosec // an index
	return slices.Concat(c.Sessions[from:], c.Sessions[:from])[:min(n, len(c.Sessions))]
}
