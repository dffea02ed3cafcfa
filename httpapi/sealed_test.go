package httpapi_test

import (
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func sealedWith(t *testing.T, keys *dataseal.Keyset) func(*httpapi.Config, *sessionstore.Config) {
	t.Helper()
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Sealer = sealer }
}

func newKeyset(t *testing.T) *dataseal.Keyset {
	t.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A caller with a service key sees no difference: data is in the same answers,
// and its version changes with it alone.
func TestSealedDataIsInTheAnswers(t *testing.T) {
	t.Parallel()
	s := setup(t, sealedWith(t, newKeyset(t)))
	session := s.create(t, "ann")
	first := `"` + session.checksum + `"`
	if got := s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200); got.Header.Get("ETag") != first || !strings.Contains(string(got.body), secretData) {
		t.Errorf("ETag %s, want %s: %s", got.Header.Get("ETag"), first, got.body)
	}
	if got := s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).want(t, 200); !strings.Contains(string(got.body), secretData) {
		t.Errorf("introspection: %s", got.body)
	}
	second := s.put(t, session.id, first, `{"n":9007199254740993}`).want(t, 200).Header.Get("ETag")
	if got := s.put(t, session.id, second, `{ "n" : 9007199254740993.0 }`).want(t, 200).Header.Get("ETag"); got != second {
		t.Errorf("the same data again has ETag %s, want %s", got, second)
	}
	conflict := s.put(t, session.id, first, `{"n":1}`)
	conflict.wantProblem(t, 412, "checksum_mismatch")
	if got := conflict.Header.Get("ETag"); got != second {
		t.Errorf("a stale version gets ETag %s, want %s", got, second)
	}
}

// Resealing data, with another key or for the first time, causes no conflict.
func TestVersionsOutliveSealingAnew(t *testing.T) {
	t.Parallel()
	old := newKeyset(t)
	both, added, err := old.Add()
	if err != nil {
		t.Fatal(err)
	}
	if both, err = both.Promote(added); err != nil {
		t.Fatal(err)
	}
	unsealed := setup(t)
	older, newer := setupOn(t, unsealed.pool, sealedWith(t, old)), setupOn(t, unsealed.pool, sealedWith(t, both))
	for name, began := range map[string]*service{"unsealed": unsealed, "another key": older} {
		session := began.create(t, "ann")
		read := `"` + session.checksum + `"`
		if _, err := newer.store.Reseal(t.Context(), sessionstore.Reseal{}); err != nil {
			t.Fatal(err)
		}
		now := newer.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200).Header.Get("ETag")
		if now == read {
			t.Errorf("%s: the ETag is the same", name)
		}
		next := newer.put(t, session.id, read, `{"n":1}`).want(t, 200).Header.Get("ETag")
		for _, stale := range []string{read, now} {
			conflict := newer.put(t, session.id, stale, `{"n":2}`)
			conflict.wantProblem(t, 412, "checksum_mismatch")
			if got := conflict.Header.Get("ETag"); got != next {
				t.Errorf("%s: a stale version is told ETag %s, want %s", name, got, next)
			}
		}
	}
}

// A key that is missing is our fault, whatever is asked: never 401 and never
// inactive. All that needs no data continues. The log names the key, and no more.
func TestDataThatDoesNotOpenIsUnavailable(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	sealed := setup(t, sealedWith(t, keys))
	session := sealed.create(t, "ann")
	for name, s := range map[string]*service{
		"no keyset": setupOn(t, sealed.pool), "another keyset": setupOn(t, sealed.pool, sealedWith(t, newKeyset(t))),
	} {
		s.internal(t, "GET", "/v1/sessions/"+session.id).wantProblem(t, 503, "unavailable")
		s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).wantProblem(t, 503, "temporarily_unavailable")
		line := s.log.last(t)
		text, _ := line["error"].(string)
		if line["level"] != "ERROR" || !strings.HasPrefix(text, `session data that was sealed with key "`+keys.Keys()[0].ID+`" cannot be opened: `) || strings.Contains(text, session.id) {
			t.Errorf("%s: the log has %v", name, line)
		}
		s.internal(t, "GET", "/v1/sessions?subject=ann").want(t, 200)
		pair := s.refresh(t, session.refresh).want(t, 200).json(t)
		session.access, session.refresh = at[string](t, pair, "access_token"), at[string](t, pair, "refresh_token")
	}
	sealed.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200)
	setupOn(t, sealed.pool).public(t, "POST", "/oauth2/revoke", form("token", session.refresh)).want(t, 200)
}
