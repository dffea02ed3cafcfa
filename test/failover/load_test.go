//go:build linux

package failover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	users = 60
	// grace is short, so that each refresh rotates the pair: it is fresh for three of them.
	grace        = time.Second
	refreshPause = 3 * grace
	// requestTimeout is shorter than the grace, as clients' time-outs have to be.
	requestTimeout = 3 * grace / 4
	retryPause     = 250 * time.Millisecond
)

// replica is an `api serve`.
type replica struct {
	*process

	public, internal string
}

func startReplica(t *testing.T, settings testservice.Env) *replica {
	t.Helper()
	r := &replica{public: freeAddress(t), internal: freeAddress(t)}
	cmd := testservice.Command(context.WithoutCancel(t.Context()), t.TempDir(), settings.With(testservice.Env{
		"LATCHKEY_PUBLIC_ADDR": r.public, "LATCHKEY_INTERNAL_ADDR": r.internal,
	}))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r.process = launch(t, "api serve", cmd)
	return r
}

// load is what clients do, and the results.
type load struct {
	t        *testing.T
	replicas []*replica
	client   *http.Client

	refreshed, unavailable moments
	// falseLogOuts are refusals of what was not revoked, other5xx those other than 503.
	falseLogOuts, other5xx atomic.Int64

	mu      sync.Mutex
	revoked []*revoked
}

// startLoad signs all users in, and makes them refresh until the test ends.
func startLoad(t *testing.T, replicas []*replica) *load {
	t.Helper()
	l := &load{t: t, replicas: replicas, client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * users}}}
	t.Cleanup(l.client.CloseIdleConnections)
	pairs := make([]testservice.Pair, users)
	for i := range pairs {
		testservice.Await(t, "a session", func() bool {
			p, ok := l.signIn(t.Context(), fmt.Sprint("user-", i))
			pairs[i] = p
			return ok
		})
	}
	runBeside(t, users, func(ctx context.Context, i int) {
		pause(ctx, rand.N(refreshPause))
		for pair := pairs[i]; ctx.Err() == nil; {
			next, ok := l.refresh(ctx, pair)
			if !ok {
				pause(ctx, retryPause/2+rand.N(retryPause))
				continue
			}
			pair = next
			pause(ctx, refreshPause+rand.N(grace))
		}
	})
	return l
}

// any is one of the replicas.
func (l *load) any() *replica { return l.replicas[rand.IntN(len(l.replicas))] }

// send returns status 0 if there is no answer. A status that no outage explains is counted.
func (l *load) send(ctx context.Context, method, address, bearer, mediaType, body string) (status int, content string) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	switch {
	case answer.StatusCode == http.StatusServiceUnavailable:
		l.unavailable.add()
	case answer.StatusCode >= http.StatusInternalServerError:
		l.other5xx.Add(1)
		l.t.Errorf("%s %s was answered with %d: %s", method, address, answer.StatusCode, read)
	}
	return answer.StatusCode, string(read)
}

const form, jsonType = "application/x-www-form-urlencoded", "application/json"

func (l *load) signIn(ctx context.Context, subject string) (pair testservice.Pair, ok bool) {
	status, body := l.send(ctx, http.MethodPost, "http://"+l.any().internal+"/v1/sessions", testservice.Key, jsonType, fmt.Sprintf(`{"subject":%q,"data":{}}`, subject))
	return pair, status == http.StatusCreated && json.Unmarshal([]byte(body), &pair) == nil
}

// refresh acts like an honest client: without an answer, or with 503, it keeps its pair and retries.
func (l *load) refresh(ctx context.Context, pair testservice.Pair) (next testservice.Pair, ok bool) {
	status, body := l.send(ctx, http.MethodPost, "http://"+l.any().public+"/oauth2/token", "", form,
		url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.RefreshToken}}.Encode())
	switch {
	case status == http.StatusOK && json.Unmarshal([]byte(body), &next) == nil:
		l.refreshed.add()
	case status == 0, status == http.StatusServiceUnavailable:
		return pair, false
	default:
		l.loggedOut(ctx, "a refresh was answered with %d %s", status, body)
		return pair, false
	}
	if active, err := l.introspect(ctx, l.any(), next.AccessToken); err == nil && !active {
		l.loggedOut(ctx, "an access token was refused")
	}
	return next, true
}

func (l *load) loggedOut(ctx context.Context, format string, args ...any) {
	if ctx.Err() == nil && l.falseLogOuts.Add(1) < 10 {
		l.t.Errorf(format, args...)
	}
}

var errUnknown = errors.New("nobody can tell")

// introspect asks a replica about a token, which asks its database.
func (l *load) introspect(ctx context.Context, r *replica, token string) (active bool, err error) {
	status, body := l.send(ctx, http.MethodPost, "http://"+r.internal+"/oauth2/introspect", testservice.Key, form, url.Values{"token": {token}}.Encode())
	var state struct {
		Active bool `json:"active"`
	}
	if status != http.StatusOK || json.Unmarshal([]byte(body), &state) != nil {
		return false, errUnknown
	}
	return state.Active, nil
}
