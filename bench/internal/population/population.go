package population

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// readingShare is how much of the sample is read and has its data changed. The rest is refreshed: sessions that were
// just refreshed are recorded as in use when they are read next, which is not what is to be measured there.
const readingShare = 0.3

// Population is a database full of sessions, with a sample of them that stands for all.
type Population struct {
	Identity

	URL  string
	Size int
	// Readers and Rotating are the sample's two parts.
	Readers, Rotating *Circle

	template template
	signer   *tokens.Signer
	// refresh and access are the template's claims, and the kinds of the rows that they name.
	refresh, access         tokens.Claims
	refreshKind, accessKind int
	checksums               [2]string
	extra                   atomic.Int64 // sessions that were added later
}

// New fills an empty database with sessions, each of which was refreshed once and then used. progress is told the share
// that is done.
func New(ctx context.Context, identity Identity, url string, size, sample int, progress func(float64)) (*Population, error) {
	p := &Population{Identity: identity, URL: url, Size: size}
	var err error
	if p.signer, err = tokens.NewSigner(identity.Ring, identity.Store.Tokens); err != nil {
		return nil, err
	}
	for i, data := range []string{Data, OtherData} {
		if p.checksums[i], err = sessionstore.Checksum([]byte(data)); err != nil {
			return nil, err
		}
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	if err := p.template.fill(ctx, url, size, progress); err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	p.choose(min(sample, size))

	return p, p.check(ctx)
}

// prepare makes the tables, and the session that all others are copies of.
func (p *Population) prepare(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, p.URL)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	store, err := sessionstore.New(pool, p.Ring, p.Store)
	if err != nil {
		return err
	}
	session, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "template", Data: []byte(Data), Client: Client()})
	if err != nil {
		return err
	}
	refreshed, err := store.RefreshTokens(ctx, string(pair.RefreshToken), Client())
	if err != nil {
		return err
	}
	if _, _, err := store.Get(ctx, string(refreshed.Pair.AccessToken)); err != nil {
		return err
	}

	verifier, err := tokens.NewVerifier(p.Ring, p.Store.Tokens)
	if err != nil {
		return err
	}
	if p.refresh, err = verifier.Verify(string(refreshed.Pair.RefreshToken), tokens.RefreshToken); err != nil {
		return err
	}
	if p.access, err = verifier.Verify(string(refreshed.Pair.AccessToken), tokens.AccessToken); err != nil {
		return err
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if p.template, err = readTemplate(ctx, conn.Conn(), session.ID); err != nil {
		return err
	}
	if p.refreshKind, err = p.template.kind(p.refresh.TokenID); err != nil {
		return err
	}
	p.accessKind, err = p.template.kind(p.access.TokenID)

	return err
}

// choose takes a sample that is spread evenly over all sessions, in an order in which neighbours are far apart.
func (p *Population) choose(n int) {
	random := rand.New(rand.NewPCG(uint64(p.Size), uint64(n))) //nolint:gosec // it is to be the same each time
	all := make([]*Session, n)
	for i := range all {
		from, to := i*p.Size/n, (i+1)*p.Size/n
		all[i] = &Session{
			Index: from + random.IntN(to-from), Generation: p.refresh.Generation, AccessGeneration: p.access.Generation,
			Rotated: p.refresh.IssuedAt.Add(time.Second), // it is rounded down
		}
	}
	random.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	readers := int(float64(n) * readingShare)
	p.Readers, p.Rotating = &Circle{sessions: all[:readers]}, &Circle{sessions: all[readers:]}
}

// Do lends a connection to the database.
func (p *Population) Do(ctx context.Context, do func(*pgx.Conn) error) error {
	return connected(ctx, p.URL, do)
}

func connected(ctx context.Context, url string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed

	return do(conn)
}

// check compares some ids with what is in the database.
func (p *Population) check(ctx context.Context) error {
	var ids []uuid.UUID
	for _, s := range p.Rotating.Ahead(1000) {
		ids = append(ids, p.RefreshRow(s))
	}
	var n int
	err := p.Do(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(*) FROM `+tokenTable+` r JOIN `+sessionTable+` s ON s."id" = r."session"
			WHERE r."id" = ANY($1)`, ids).Scan(&n)
	})
	if err == nil && n != len(ids) {
		err = fmt.Errorf("of %d sessions that were made, %d are there", len(ids), n)
	}

	return err
}

// Session is one of the sample. It belongs to one worker at a time.
type Session struct {
	Index                        int
	Generation, AccessGeneration int64
	// Rotated is when it was last refreshed.
	Rotated time.Time
	// Other tells that it holds [OtherData].
	Other bool

	refreshToken string
}

// Rotate notes that it was refreshed. The token may be empty: it is signed when it is needed then.
func (s *Session) Rotate(refreshToken string) {
	s.Generation++
	s.AccessGeneration++
	s.refreshToken, s.Rotated = refreshToken, time.Now()
}

// ID returns the session's id.
func (p *Population) ID(s *Session) uuid.UUID { return ID(s.Index, 0) }

// RefreshRow returns the id of the row that its refresh token names.
func (p *Population) RefreshRow(s *Session) uuid.UUID { return ID(s.Index, p.refreshKind) }

// AccessRow returns the id of the row that its access token names.
func (p *Population) AccessRow(s *Session) uuid.UUID { return ID(s.Index, p.accessKind) }

// RefreshRowExpression is [Population.RefreshRow] in SQL.
func (p *Population) RefreshRowExpression(session string) string {
	return IDExpression(session, p.refreshKind)
}

// Checksums returns what Update has to be told: the checksum of the session's data, and of the data that is to come.
func (p *Population) Checksums(s *Session) (now, next, nextData string) {
	if s.Other {
		return p.checksums[1], p.checksums[0], Data
	}

	return p.checksums[0], p.checksums[1], OtherData
}

// RefreshToken returns the session's newest refresh token.
func (p *Population) RefreshToken(s *Session) (string, error) {
	if s.refreshToken != "" {
		return s.refreshToken, nil
	}
	claims := p.refresh
	claims.SessionID, claims.TokenID, claims.Subject, claims.Generation = p.ID(s), p.RefreshRow(s), subject(s.Index), s.Generation
	token, err := p.signer.Sign(claims)
	s.refreshToken = string(token)

	return s.refreshToken, err
}

// AccessToken returns an access token of the session. Each number gives another one, all of them valid: they expire at
// different times.
func (p *Population) AccessToken(s *Session, number int) (string, error) {
	claims := p.access
	claims.SessionID, claims.TokenID, claims.Subject, claims.Generation = p.ID(s), p.AccessRow(s), subject(s.Index), s.AccessGeneration
	claims.ExpiresAt = claims.ExpiresAt.Add(time.Duration(number) * time.Second)
	token, err := p.signer.Sign(claims)

	return string(token), err
}

// Circle is a part of the sample that is gone through again and again.
type Circle struct {
	sessions []*Session
	next     atomic.Uint64
}

// Next returns the session that was not used for the longest time.
func (c *Circle) Next() *Session {
	return c.sessions[(c.next.Add(1)-1)%uint64(len(c.sessions))]
}

// Ahead returns the next n sessions, or all where there are no more, without going on.
func (c *Circle) Ahead(n int) []*Session {
	from := c.next.Load()
	ahead := make([]*Session, min(n, len(c.sessions)))
	for i := range ahead {
		ahead[i] = c.sessions[(from+uint64(i))%uint64(len(c.sessions))]
	}

	return ahead
}

// Len returns how many there are.
func (c *Circle) Len() int { return len(c.sessions) }

// Add makes n more sessions, and returns their ids.
func (p *Population) Add(ctx context.Context, n int) ([]uuid.UUID, error) {
	from, err := p.add(ctx, n, nil)
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = ID(from+i, 0)
	}

	return ids, err
}

// AddExpired makes n more sessions, which expired so long ago that clean-up removes them.
func (p *Population) AddExpired(ctx context.Context, n int) error {
	_, err := p.add(ctx, n, map[string]string{"expiresOn": `current_date - 60`})

	return err
}

// add makes n more sessions, with expressions for some of the columns, and returns the number of the first.
func (p *Population) add(ctx context.Context, n int, columns map[string]string) (int, error) {
	first := template{id: ID(0, 0), tokens: make([]tokenRow, len(p.template.tokens))}
	for i, row := range p.template.tokens {
		first.tokens[i].id = ID(0, i+1)
		if kind, err := p.template.kind(row.refreshToken); err == nil {
			first.tokens[i].refreshToken = ID(0, kind)
		}
	}
	from := p.Size + int(p.extra.Add(int64(n))) - n

	return from, p.Do(ctx, func(conn *pgx.Conn) error {
		statements, err := first.statements(ctx, conn, columns)
		if err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // as in fill
				return err
			}
			for _, statement := range statements {
				if _, err := tx.Exec(ctx, statement, from, from+n-1); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Touch changes each row of the sample once, which is what takes a table to its steady state after a checkpoint: the
// first change of a page puts the whole page into the WAL.
func (p *Population) Touch(ctx context.Context) error {
	const batch = 5000

	return p.Do(ctx, func(conn *pgx.Conn) error {
		for _, touch := range []struct {
			circle    *Circle
			statement string
			id        func(*Session) uuid.UUID
		}{
			{p.Rotating, `UPDATE ` + tokenTable + ` SET "lateRetries" = "lateRetries" WHERE "id" = ANY($1)`, p.RefreshRow},
			{p.Readers, `UPDATE ` + sessionTable + ` SET "updatedAt" = "updatedAt" WHERE "id" = ANY($1)`, p.ID},
			{p.Readers, `SELECT count("expiresAt") FROM ` + tokenTable + ` WHERE "id" = ANY($1)`, p.AccessRow}, // into memory
		} {
			for some := range slices.Chunk(touch.circle.sessions, batch) {
				var ids []uuid.UUID
				for _, s := range some {
					ids = append(ids, touch.id(s))
				}
				if _, err := conn.Exec(ctx, touch.statement, ids); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Settle has the sessions be as if they had been refreshed long ago, so that each may be refreshed again at once
// whatever the service's grace is.
func (p *Population) Settle(ctx context.Context) error {
	for _, s := range p.Rotating.sessions {
		s.Rotated = time.Time{}
	}

	return p.Do(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE `+tokenTable+` SET "issuedAt" = "issuedAt" - interval '1 hour' WHERE "issuedAt" > now() - interval '1 minute'`)
		return err
	})
}
