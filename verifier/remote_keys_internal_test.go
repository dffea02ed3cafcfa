package verifier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The keys are fetched every five minutes or, while that fails, every second; the log says
// when it begins to fail, and when it no longer does, and nothing of a verifier that ends.
func TestKeysAreFetchedFromTimeToTime(t *testing.T) {
	t.Parallel()
	ring := testkeys.Ring(t)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var fetched []time.Duration
		began := time.Now()
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			n := len(fetched)
			switch fetched = append(fetched, time.Since(began)); n {
			case 1: // no answer, until the time is over
				<-r.Context().Done()
				return nil, r.Context().Err()
			case 2:
				return nil, errors.New("it is away")
			case 4: // the last one, which says nothing about the service
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(bytes.NewReader(ring.PublicJWKS()))}, nil
		})}
		k, err := newKeys("https://id.example.com/keys", tokens.Config{Issuer: "https://id.example.com", Audience: "api", Remember: -1}, client)
		if err != nil {
			t.Fatal(err)
		}
		set := newSet(time.Second, &databaseClock{now: Now, logger: slog.New(slog.NewTextHandler(&log, nil))})
		const end = 10*time.Minute + 5*time.Second
		ctx, stop := context.WithTimeout(t.Context(), end)
		defer stop()
		k.followKeys(ctx, set)
		if ended := time.Since(began); ended != end {
			t.Errorf("it ended after %v", ended)
		}
		const five = 5 * time.Minute
		want := []time.Duration{0, five, five + 3*time.Second, five + 4*time.Second, 2*five + 4*time.Second}
		if len(fetched) != len(want) {
			t.Fatalf("the keys were fetched after %v, want %v", fetched, want)
		}
		for i := range want {
			if fetched[i] != want[i] {
				t.Errorf("fetch %d was after %v, want %v", i+1, fetched[i], want[i])
			}
		}
		if text := log.String(); strings.Count(text, "level=") != 2 || strings.Count(text, `level=WARN msg="the service's keys cannot be fetched"`) != 1 ||
			strings.Count(text, `level=INFO msg="the service's keys were fetched again"`) != 1 {
			t.Errorf("the log has %s", text)
		}
	})
}

// A token names its key in its header, if that can be read and no token is that long.
func TestKeyID(t *testing.T) {
	t.Parallel()
	const header = "eyJraWQiOiJhIn0" // {"kid":"a"}
	long := header + "." + strings.Repeat("x", tokens.MaxTokenBytes-len(header)-1)
	for token, want := range map[string]string{
		header + ".e30.x": "a", header: "a", long: "a", long + "x": "", "": "", header + "#.e30.x": "", "e30.e30.x": "", "eyJraWQiOjF9.e30.x": "", "W10.e30.x": "",
	} {
		if got := keyID(token); got != want {
			t.Errorf("%.40s, of %d bytes: %q, want %q", token, len(token), got, want)
		}
	}
}
