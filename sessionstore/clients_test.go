package sessionstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// withAgent is a configuration of two clients.
func withAgent() sessionstore.Config {
	cfg := config()
	cfg.Clients = []sessionstore.OAuthClient{{
		ID: "agent", Audiences: []string{"https://mcp.example.com", "https://files.example.com"},
		Lifetimes: sessionstore.Lifetimes{AccessToken: 2 * time.Minute, RefreshToken: time.Hour},
	}}
	return cfg
}

// says is what an access token says of its client.
func (k kit) says(t *testing.T, pair sessionstore.TokenPair) string {
	t.Helper()
	session, claims, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	if session.ClientID != claims.ClientID {
		t.Errorf("the session is of %q, its token of %q", session.ClientID, claims.ClientID)
	}
	return claims.ClientID + " for " + strings.Join(tokens.Audiences(claims.Audience), " and ")
}

// TestClients has a session of each of two clients: its tokens say so from the first to
// the last, alone and together with another's.
func TestClients(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	const ofApp, ofAgent = "app for https://api.example.com", "agent for https://mcp.example.com and https://files.example.com"
	for id, want := range map[string]string{"": ofApp, "app": ofApp, "agent": ofAgent} {
		session, pair := k.create(t, sessionstore.CreateParams{ClientID: id})
		if got := k.says(t, pair); got != want {
			t.Errorf("created for %q: %s", id, got)
		}
		for _, outcome := range []sessionstore.Outcome{sessionstore.Rotated, sessionstore.StillFresh} {
			if pair = k.refresh(t, pair.RefreshToken, outcome); k.says(t, pair) != want {
				t.Errorf("%v for %q: %s", outcome, id, k.says(t, pair))
			}
		}
		loaded, err := k.Load(t.Context(), session.ID)
		if err != nil || loaded.ClientID != strings.Fields(want)[0] {
			t.Errorf("%q, %v", loaded.ClientID, err)
		}
	}
	page, err := k.List(t.Context(), "user-1", sessionstore.ListParams{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, session := range page.Sessions {
		count[session.ClientID]++
	}
	if diff := cmp.Diff(map[string]int{"app": 2, "agent": 1}, count); diff != "" {
		t.Error(diff)
	}

	pairs := make([]sessionstore.TokenPair, 8)
	ids := []string{"app", "agent"}
	together(len(pairs), func(i int) {
		_, pairs[i], err = k.Create(t.Context(), sessionstore.CreateParams{ClientID: ids[i%2]})
		if err != nil {
			t.Error(err)
			return
		}
		refreshed, err := k.RefreshTokens(t.Context(), string(pairs[i].RefreshToken), sessionstore.Client{})
		if err != nil {
			t.Error(err)
			return
		}
		pairs[i] = refreshed.Pair
	})
	for i, pair := range pairs {
		if got := k.says(t, pair); got != []string{ofApp, ofAgent}[i%2] {
			t.Errorf("together, for %s: %s", ids[i%2], got)
		}
	}
}

// A client's lifetimes are those of its new sessions, unless a creation has its own.
func TestLifetimesOfAClient(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	_, pair := k.create(t, sessionstore.CreateParams{ClientID: "agent", Lifetimes: sessionstore.Lifetimes{RefreshToken: 2 * time.Hour}})
	without := kit{Store: newStore(t, k.pool, k.ring, config()), pool: k.pool}
	for name, pair := range map[string]sessionstore.TokenPair{
		"created": pair, "refreshed where the client is not known": without.refresh(t, pair.RefreshToken, sessionstore.Rotated),
	} {
		if pair.ExpiresIn() != 2*time.Minute || pair.RefreshExpiresIn() != 2*time.Hour {
			t.Errorf("%s: %v, %v", name, pair.ExpiresIn(), pair.RefreshExpiresIn())
		}
	}
}

// Two replicas have different clients, and differ in who is the first. What a token says
// comes from its row, whoever answers.
func TestClientsInARollout(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	cfg := config()
	cfg.Tokens.ClientID = "renamed"
	newer := kit{Store: newStore(t, k.pool, k.ring, cfg), pool: k.pool}
	for id, want := range map[string]string{"": "app for https://api.example.com", "agent": "agent for https://mcp.example.com and https://files.example.com"} {
		session, pair := k.create(t, sessionstore.CreateParams{ClientID: id})
		for i := range 4 {
			answers, other := k, newer
			if i%2 == 0 {
				answers, other = newer, k
			}
			pair = answers.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			if again := other.refresh(t, pair.RefreshToken, sessionstore.StillFresh); again.AccessToken != pair.AccessToken {
				t.Error("another replica gives another access token")
			}
			for _, replica := range []kit{k, newer} {
				if got := replica.says(t, pair); got != want {
					t.Errorf("after refresh %d: %s", i, got)
				}
			}
			k.age(t, session.ID, time.Minute)
		}
	}

	// A row of an earlier release names none. Who refreshes it first writes it down.
	_, pair := k.create(t, sessionstore.CreateParams{ClientID: "app"})
	k.exec(t, `UPDATE "sessionStoreToken" SET "client" = NULL`)
	if session, _, err := newer.Get(t.Context(), string(pair.AccessToken)); err != nil || session.ClientID != "renamed" {
		t.Errorf("%q, %v", session.ClientID, err)
	}
	pair = newer.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	if again := k.refresh(t, pair.RefreshToken, sessionstore.StillFresh); again.AccessToken != pair.AccessToken || k.says(t, pair) != "renamed for https://api.example.com" {
		t.Errorf("another replica gives another token, or %s", k.says(t, pair))
	}
}

func TestClientsThatCannotBe(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for want, client := range map[string]sessionstore.OAuthClient{
		`is ""`:            {Audiences: []string{"x"}},
		"another client's": {ID: "app"},
		"TokenEndpoint":    {ID: "agent", Audiences: []string{"https://id.example.com/oauth2/token"}},
		"512 bytes":        {ID: strings.Repeat("x", 513)},
		"NUL":              {ID: "agent\x00"},
		"different names":  {ID: "agent", Audiences: []string{"x", "x"}},
		"access_token_ttl": {ID: "agent", Lifetimes: sessionstore.Lifetimes{AccessToken: time.Second}},
	} {
		cfg := config()
		cfg.Clients = []sessionstore.OAuthClient{client}
		if _, err := sessionstore.New(k.pool, k.ring, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", client, err)
		}
	}
	for _, cfg := range []sessionstore.Config{config(), withAgent()} {
		store := newStore(t, k.pool, k.ring, cfg)
		_, _, err := store.Create(t.Context(), sessionstore.CreateParams{ClientID: "App"})
		if want := "client_id: not known: it may be one of " + strings.Join(store.ClientIDs(), ", "); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
}

// A creation that is sent again for another client is another one; for none it is what
// it was before there were clients.
func TestIdempotentCreationsOfClients(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	create := func(id string) (sessionstore.Session, error) {
		session, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "user-1", ClientID: id, IdempotencyKey: "key-" + id})
		return session, err
	}
	for _, id := range []string{"", "app", "agent"} {
		first, err := create(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := create(id); err != nil || again.ID != first.ID || again.ClientID != first.ClientID {
			t.Errorf("%q: %+v, %v", id, again, err)
		}
	}
	for _, id := range []string{"app", "agent"} {
		_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "user-1", ClientID: id, IdempotencyKey: "key-"})
		if err != sessionstore.ErrIdempotencyKeyReused { //nolint:errorlint // nothing else may be said
			t.Errorf("%q: %v", id, err)
		}
	}
}
