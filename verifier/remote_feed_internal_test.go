package verifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// feedOf is the feed of a service that answers like this.
func feedOf(answer roundTrip, set *Set) *remoteFeed {
	return &remoteFeed{
		&remoteService{"http://latchkey.internal", "a-service-key", &http.Client{Transport: answer}},
		newShards(func() *Set { return newSet(set.bound, set.clock) }),
	}
}

// spoken is a line of a feed, and when it comes.
type spoken struct {
	at   time.Duration
	line string
}

// events answers with a feed of these lines, which then ends with an error, or stays silent.
func events(lines []spoken, end *spoken) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		body, writer := io.Pipe()
		context.AfterFunc(r.Context(), func() { _ = writer.CloseWithError(r.Context().Err()) })
		go func() {
			began := time.Now()
			for _, s := range lines {
				time.Sleep(s.at - time.Since(began))
				_, _ = io.WriteString(writer, s.line+"\n")
			}
			if end != nil {
				time.Sleep(end.at - time.Since(began))
				var err error
				if end.line != "" {
					err = errors.New(end.line)
				}
				_ = writer.CloseWithError(err)
			}
		}()
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
	}
}

func event(cursor, more string) string { return `data: {"cursor":"` + cursor + `",` + more + `}` }

// A feed is followed until it ends or breaks, says nothing for too long, or proves too little.
func TestFeedEnds(t *testing.T) {
	t.Parallel()
	const reset, second = `"reset":true,"complete_ms":0`, time.Second
	first := spoken{0, event("first", reset)}
	proof := func(at time.Duration, millis int) spoken {
		return spoken{at, event(fmt.Sprint(at), fmt.Sprintf(`"complete_ms":%d`, millis))}
	}
	for name, test := range map[string]struct {
		bound  time.Duration
		lines  []spoken
		end    *spoken
		ends   time.Duration
		why    string
		cursor string
	}{
		"silent":                         {3 * second, nil, nil, 6 * second, errFeedSilent.Error(), ""},
		"silent, with a short bound":     {second / 10, []spoken{first}, nil, 2 * second, errFeedSilent.Error(), "first"},
		"silent after a while":           {3 * second, []spoken{first, {5 * second, ""}, {10 * second, ""}, {15 * second, ""}}, nil, 21 * second, errFeedSilent.Error(), "first"},
		"ended":                          {3 * second, []spoken{first}, &spoken{second, ""}, second, errFeedEnded.Error(), "first"},
		"broken":                         {3 * second, []spoken{first}, &spoken{second, "it broke"}, second, "it broke", "first"},
		"not an event":                   {3 * second, []spoken{first, {second, event("second", `"more":false`)}}, nil, second, "not an event", "first"},
		"other lines":                    {3 * second, []spoken{first, {second, "id: x"}, {second, "data:{}"}, {second, ""}}, &spoken{2 * second, ""}, 2 * second, errFeedEnded.Error(), "first"},
		"an event of 100 kB":             {3 * second, []spoken{{0, event("first", reset+`,"x":"`+strings.Repeat("x", 100_000)+`"`)}}, &spoken{second, ""}, second, errFeedEnded.Error(), "first"},
		"proofs that stay old":           {3 * second, []spoken{first, proof(4*second, 0), proof(6*second, 0), proof(7*second, 0)}, nil, 7 * second, errFeedLate.Error(), "7s"},
		"proofs as old as they may be":   {3 * second, []spoken{first, proof(4*second, 1000), proof(7*second, 4000), proof(8*second, 5000)}, &spoken{9 * second, ""}, 9 * second, errFeedEnded.Error(), "8s"},
		"parts of a set, which are slow": {3 * second, []spoken{first, {4 * second, ":"}, {7 * second, event("part", `"reset":true,"more":true`)}}, &spoken{8 * second, ""}, 8 * second, errFeedEnded.Error(), "part"},
	} {
		synctest.Test(t, func(t *testing.T) {
			set, cursor := newSet(test.bound, &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}), ""
			began := time.Now()
			err := feedOf(events(test.lines, test.end), set).stream(t.Context(), set, feedPath, &cursor)
			if ended := time.Since(began); ended != test.ends || err == nil || !strings.Contains(err.Error(), test.why) || cursor != test.cursor {
				t.Errorf("%s: it ended after %v at %q: %v", name, ended, cursor, err)
			}
			if test.cursor != "" && set.known.Load() == nil {
				t.Errorf("%s: the set is not loaded", name)
			}
		})
	}
}

// Only the first shard's feed says which other shards there are.
func TestFeedNamesTheShards(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]int{feedPath: {1, 2}, feedPath + "?shard=1": nil} {
		synctest.Test(t, func(t *testing.T) {
			set, cursor := newSet(time.Second, &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}), ""
			r := feedOf(events([]spoken{{0, event("first", `"reset":true,"complete_ms":0,"shards":[1,2]`)}}, &spoken{1, ""}), set)
			if err := r.stream(t.Context(), set, path, &cursor); !errors.Is(err, errFeedEnded) {
				t.Error(err)
			}
			if got := slices.Sorted(maps.Keys(r.shards.all())); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		})
	}
}

// A feed that fails is asked for again soon, and then less and less often, until it has said something or
// has ended as it should; the log says when it begins to fail, and nothing of a verifier that ends.
func TestFeedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const fails, speaks, ends, times = 10, 10, 10, 40
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var asked []time.Time
		set := newSet(time.Hour, &databaseClock{now: Now, logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		feed := feedOf(func(r *http.Request) (*http.Response, error) {
			n := len(asked)
			asked = append(asked, time.Now())
			switch {
			case n < fails, n >= fails+speaks+ends && n < times:
				return nil, errors.New("it is away")
			case n < fails+speaks:
				return events([]spoken{{0, event(fmt.Sprint(n), `"reset":true,"complete_ms":0`)}}, &spoken{0, "it broke"})(r)
			case n < fails+speaks+ends:
				return events(nil, &spoken{0, ""})(r)
			}
			set.known.Load().proof = Moment{} // it is too old
			time.AfterFunc(time.Second, stop)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, set)
		feed.followRevocations(ctx, set, feedPath)
		if stopped := time.Since(asked[len(asked)-1]); len(asked) != times+1 || stopped != time.Second || !asked[0].Equal(began) {
			t.Fatalf("it was asked %d times, at first after %v, and ended %v after the last", len(asked), asked[0].Sub(began), stopped)
		}
		wait := minFeedPause
		for n := range times {
			if n >= fails && n < fails+speaks+ends {
				wait = minFeedPause
			}
			if paused := asked[n+1].Sub(asked[n]); paused < wait/2 || paused >= wait/2+wait {
				t.Errorf("after attempt %d it paused for %v, want %v to %v", n+1, paused, wait/2, wait/2+wait)
			}
			wait = min(2*wait, maxFeedPause)
		}
		if text := log.String(); strings.Count(text, "level=") != 2 || strings.Count(text, "it is away") != 1 || strings.Count(text, "followed again") != 1 {
			t.Errorf("the log has %s", text)
		}
	})
}

// A response is a feed only if it says so, and the request says what is wanted.
func TestWhatIsAFeed(t *testing.T) {
	t.Parallel()
	const feed, none = "text/event-stream", "the answer is not a feed"
	for _, test := range []struct {
		status    int
		mediaType string
		why       string
	}{
		{200, feed, errFeedEnded.Error()},
		{200, "Text/Event-Stream; charset=utf-8", errFeedEnded.Error()},
		{200, "", none},
		{200, "application/json", none},
		{200, feed + "; =", none},
		{201, feed, "status 201"},
		{401, feed, "status 401"},
		{503, feed, "status 503"},
	} {
		for _, before := range []string{"", "before"} {
			var header http.Header
			set, cursor := newSet(time.Hour, &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}), before
			err := feedOf(func(r *http.Request) (*http.Response, error) {
				header = r.Header
				return &http.Response{
					StatusCode: test.status, Request: r, Header: http.Header{"Content-Type": {test.mediaType}},
					Body: io.NopCloser(strings.NewReader(event("after", `"reset":true,"complete_ms":0`) + "\n")),
				}, nil
			}, set).stream(t.Context(), set, feedPath, &cursor)
			want := before
			if test.why == errFeedEnded.Error() {
				want = "after"
			}
			if err == nil || !strings.Contains(err.Error(), test.why) || cursor != want {
				t.Errorf("%d %q after %q: at %q, %v", test.status, test.mediaType, before, cursor, err)
			}
			wanted := http.Header{"Authorization": {"Bearer a-service-key"}, "Accept": {feed}, "Accept-Encoding": {"identity"}}
			if before != "" {
				wanted.Set("Last-Event-ID", before)
			}
			if diff := cmp.Diff(wanted, header); diff != "" {
				t.Errorf("after %q (-want +got):\n%s", before, diff)
			}
		}
	}
}
