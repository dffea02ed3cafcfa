package verifier

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	feedPath = "/v1/revocations"
	// A broken feed is retried soon, and then less and less often.
	minFeedPause, maxFeedPause = 50 * time.Millisecond, 2 * time.Second
	// minFeedPatience is the minimum time for which a feed may be silent.
	minFeedPatience = 2 * time.Second
	// maxEventBytes is about three times what the largest event takes.
	maxEventBytes = 32 << 20
)

var (
	errFeedEnded  = errors.New("the feed ended")
	errFeedSilent = errors.New("the feed was silent for too long")
	errFeedLate   = errors.New("the feed's proofs arrive too late")
)

// remoteFeed is the service's feed of revocations, one for each shard.
type remoteFeed struct {
	*remoteService

	shards *shards // the verifier's
}

// feedEvent is an event as sent.
type feedEvent struct {
	Cursor   string `json:"cursor"`
	Reset    bool   `json:"reset"`
	More     bool   `json:"more"`
	Sessions []struct {
		ID    uuid.UUID `json:"id"`
		Until int64     `json:"until"`
	} `json:"sessions"`
	// Superseded is absent if the service is an earlier release.
	Superseded []struct {
		Pair  uuid.UUID `json:"pair"`
		Below int64     `json:"below"`
		Until int64     `json:"until"`
	} `json:"superseded"`
	// Eras is absent as well, and if nobody was ever signed out with everyone else.
	Eras []struct {
		Below  int64 `json:"below"`
		Before int64 `json:"before"`
		Until  int64 `json:"until"`
	} `json:"eras"`
	// CompleteMillis counts from the arrival of the request being answered.
	CompleteMillis *int64 `json:"complete_ms"`
	From           int64  `json:"from"`
	// NowMillis is the database's time when the event was made, since 1970.
	NowMillis *int64 `json:"now"`
	// Shards are further shards, each with its own feed.
	Shards []int `json:"shards"`
}

// followRevocations follows the feed, and reconnects when it ends.
func (r *remoteFeed) followRevocations(ctx context.Context, set *Set, path string) {
	cursor, wait := "", minFeedPause
	for ctx.Err() == nil {
		before := cursor
		err := r.stream(ctx, set, path, &cursor)
		if ctx.Err() != nil {
			return
		}
		set.Failed(err)
		if cursor != before || errors.Is(err, errFeedEnded) {
			wait = minFeedPause
		}
		// Verifiers that lost one server should not all come back at once.
		if !pause(ctx, wait/2+rand.N(wait)) { //nolint:gosec // G404: no secret
			return
		}
		wait = min(2*wait, maxFeedPause)
	}
}

// stream follows the feed until it breaks, and keeps the cursor.
func (r *remoteFeed) stream(ctx context.Context, set *Set, path string, cursor *string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := max(2*set.Bound(), minFeedPatience)
	// A connection that died silently never says anything again.
	silence := time.AfterFunc(patience, func() { cancel(errFeedSilent) })
	defer silence.Stop()

	q, err := r.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	q.Header.Set("Accept", "text/event-stream")
	q.Header.Set("Accept-Encoding", "identity") // compression buffers
	if *cursor != "" {
		q.Header.Set("Last-Event-ID", *cursor)
	}
	// The proofs in the response count from a time no earlier than this one.
	sent := set.Now()
	answer, err := r.client.Do(q)
	if err != nil {
		return because(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return statusError(answer)
	}
	if mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || mediaType != "text/event-stream" {
		return errors.New("the answer is not a feed")
	}
	lines := bufio.NewScanner(heard{answer.Body, func() { silence.Reset(patience) }})
	lines.Buffer(nil, maxEventBytes)
	for lines.Scan() {
		data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !found {
			continue // an id, which is also in the data, the end of an event, or a comment
		}
		complete, shards, err := take(data, set, sent, cursor)
		if err != nil {
			return err
		}
		if path == feedPath {
			r.shards.are(shards)
		}
		// If the wall clock jumped forward since the request was sent, or a proxy
		// buffers events, all proofs look old: a new request may do better.
		if complete && set.Age() > set.Bound() && set.Now().Since(sent) > patience {
			return errFeedLate
		}
	}
	if err := lines.Err(); err != nil {
		return because(ctx, err)
	}
	return because(ctx, errFeedEnded)
}

// heard is called for everything that is read: while a large event arrives over a slow network, the feed
// is not silent.
type heard struct {
	io.Reader

	tell func()
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.tell()
	}
	return n, err
}

// because prefers the reason for which ctx was ended, if it was.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// sinceSent is the time from which a proof counts, after the request was sent.
// It is never later than now, whatever the server says, and more than a day back
// counts as a day.
func sinceSent(millis int64, elapsed time.Duration) time.Duration {
	const day = int64(24 * time.Hour / time.Millisecond)
	return time.Duration(max(-day, min(millis, elapsed.Milliseconds()))) * time.Millisecond
}

// take applies an event, and returns whether it completes the set, and which other shards
// the service has.
func take(data []byte, set *Set, sent Moment, cursor *string) (complete bool, shards []int, err error) {
	var event feedEvent
	if err := json.Unmarshal(data, &event); err != nil {
		return false, nil, err
	}
	if event.Cursor == "" || event.More == (event.CompleteMillis != nil) {
		return false, nil, errors.New("not an event of the feed")
	}
	b := Batch{Reset: event.Reset, Cursor: event.Cursor, From: event.From, Sessions: make([]Revocation, 0, len(event.Sessions)+len(event.Superseded)+len(event.Eras))}
	for _, s := range event.Sessions {
		b.Sessions = append(b.Sessions, Revocation{SessionID: s.ID, Until: s.Until})
	}
	for _, s := range event.Superseded {
		b.Sessions = append(b.Sessions, Revocation{TokenID: s.Pair, Below: s.Below, Until: s.Until})
	}
	for _, e := range event.Eras {
		b.Sessions = append(b.Sessions, Revocation{Era: e.Below, Before: e.Before, Until: e.Until})
	}
	if !event.More {
		b.Proof = sent.Add(sinceSent(*event.CompleteMillis, set.Now().Since(sent)))
		if event.NowMillis != nil {
			b.Now = time.UnixMilli(*event.NowMillis)
		}
	}
	set.Apply(b)
	*cursor = event.Cursor
	return !event.More, event.Shards, nil
}
