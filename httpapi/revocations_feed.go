package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/verifier"
)

var (
	errNoVerifier = errors.New("no verifier is configured")
	errNoShard    = errors.New("the shard is not known here")
)

// revocationsDocument is one part of the feed.
type revocationsDocument struct {
	Cursor   string               `json:"cursor"`
	Reset    bool                 `json:"reset,omitzero"`
	More     bool                 `json:"more,omitzero"`
	Sessions []revocationDocument `json:"sessions"`
	// Superseded is a separate member: a verifier of an earlier release, which does not
	// know it, must not take a live session for revoked.
	Superseded []supersededDocument `json:"superseded,omitempty"`
	// Eras reports when all users were signed out; an earlier release ignores it like Superseded.
	Eras []eraDocument `json:"eras,omitempty"`
	// CompleteMillis counts from the arrival of the request that is being answered,
	// on our monotonic clock. The caller adds it to the time at which it sent the
	// request, on its own clock: no clocks are compared.
	CompleteMillis *int64 `json:"complete_ms,omitzero"`
	From           int64  `json:"from"`
	// NowMillis is the database's time, by which tokens expire: a caller's own clock
	// may be wrong.
	NowMillis *int64 `json:"now,omitzero"`
	// Shards are further shards, each of which has its own feed. Only the first shard's feed
	// lists them.
	Shards []int `json:"shards,omitempty"`
}

type revocationDocument struct {
	ID    uuid.UUID `json:"id"`
	Until int64     `json:"until"`
}

// supersededDocument is about access tokens whose jti is the pair's id, ".a" and a
// number below.
type supersededDocument struct {
	Pair  uuid.UUID `json:"pair"`
	Below int64     `json:"below"`
	Until int64     `json:"until"`
}

// eraDocument is about access tokens of sessions from eras below.
type eraDocument struct {
	Below  int64 `json:"below"`
	Before int64 `json:"before"`
	Until  int64 `json:"until"`
}

// shardFeed is the feed of one shard.
type shardFeed struct {
	*verifier.Feed
	further []int // further shards that the caller must follow
}

func (s *Server) shardFeed(r *http.Request) (shardFeed, error) {
	text := r.URL.Query().Get("shard")
	if text == "" {
		return shardFeed{s.cfg.Verifier.Feed(), s.cfg.Verifier.Shards()}, nil
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 || number > sessionid.MaxShard {
		return shardFeed{}, invalidParameter("shard", "It must be a number that the feed without it has given.")
	}
	feed, known := s.cfg.Verifier.ShardFeed(int(number))
	if !known { // another replica may already know it
		return shardFeed{}, &problem{code: codeUnavailable, cause: errNoShard}
	}
	return shardFeed{Feed: feed}, nil
}

func (f shardFeed) document(e verifier.Event, arrived verifier.Moment) revocationsDocument {
	d := revocationsDocument{
		Cursor: e.Cursor, Reset: e.Reset, More: e.More, From: e.From,
		Sessions: make([]revocationDocument, 0, len(e.Sessions)), Shards: f.further,
	}
	for _, r := range e.Sessions {
		switch {
		case r.Era != 0:
			d.Eras = append(d.Eras, eraDocument{r.Era, r.Before, r.Until})
		case r.Below != 0:
			d.Superseded = append(d.Superseded, supersededDocument{r.TokenID, r.Below, r.Until})
		default:
			d.Sessions = append(d.Sessions, revocationDocument{r.SessionID, r.Until})
		}
	}
	if !e.More {
		// Rounded down, even below zero: rounding must never prove more.
		ms := int64((e.Proof.Mono - arrived.Mono) / time.Millisecond)
		if e.Proof.Mono < arrived.Mono {
			ms--
		}
		d.CompleteMillis = &ms
		if clock, known := f.Clock(); known && clock.Err() == nil {
			now := clock.Now.UnixMilli()
			d.NowMillis = &now
		}
	}
	return d
}

func nextRevocations(ctx context.Context, feed *verifier.Feed, since string) (verifier.Event, error) {
	event, err := feed.Next(ctx, since)
	switch {
	case errors.Is(err, verifier.ErrCursor):
		return event, invalidParameter("since", "It must be a cursor that this route has given.")
	case err != nil:
		return event, &problem{code: codeUnavailable, cause: err}
	}
	return event, nil
}
