package sessionstore_test

import (
	"errors"
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

// says is what an access token says about its client.
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

// TestClients has a session of each of two clients: all of its tokens say so, alone and
// in statements shared with the other's.
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
		var err error
		if _, pairs[i], err = k.Create(t.Context(), sessionstore.CreateParams{ClientID: ids[i%2]}); err != nil {
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

// Two replicas have different clients, and differ in who is the first. A token's
// contents come from its row, whichever replica answers.
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

	// A row of an earlier release names none. The first refresh records it.
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
		if want := "client_id: not known: it must be one of " + strings.Join(store.ClientIDs(), ", "); err == nil || err.Error() != want {
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

// RFC 6749 §5.2, §10.4: a refresh token is of the client that it was issued to. Another
// client's name changes nothing, and ends nothing: neither with the newest token nor with
// one whose return would look like a theft.
func TestRefreshAsAnotherClient(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	session, first := k.create(t, sessionstore.CreateParams{ClientID: "agent"})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour/2)
	third := k.refresh(t, second.RefreshToken, sessionstore.Rotated)
	k.says(t, third)
	k.age(t, session.ID, time.Minute)
	before := k.row(t, session.ID)
	for name, pair := range map[string]sessionstore.TokenPair{"newest": third, "its predecessor": second, "old": first} {
		_, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{ClientID: "app"})
		if !errors.Is(err, sessionstore.ErrOtherClient) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, k.row(t, session.ID)); diff != "" {
		t.Error(diff)
	}
	got, err := k.RefreshTokensWith(t.Context(), string(third.RefreshToken), sessionstore.RefreshOptions{ClientID: "agent"})
	if err != nil || got.Outcome != sessionstore.Rotated {
		t.Errorf("%v, %v", got.Outcome, err)
	}

	// The first client is renamed: its sessions continue under either name.
	renamed := config()
	renamed.Tokens.ClientID = "renamed"
	_, pair := k.create(t, sessionstore.CreateParams{})
	if _, err := newStore(t, k.pool, k.ring, renamed).RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{ClientID: "renamed"}); err != nil {
		t.Error(err)
	}

	// A row of an earlier release is of the first client.
	_, pair = k.create(t, sessionstore.CreateParams{})
	k.exec(t, `UPDATE "sessionStoreToken" SET "client" = NULL WHERE "session" <> '`+session.ID.String()+`'`)
	if _, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{ClientID: "agent"}); !errors.Is(err, sessionstore.ErrOtherClient) {
		t.Error(err)
	}
	if _, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{ClientID: "app"}); err != nil {
		t.Error(err)
	}
}

// RFC 8707 §2.2: a resource that the session is not for is refused, and nothing changes.
func TestResources(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	session, pair := k.create(t, sessionstore.CreateParams{ClientID: "agent"})
	before := k.row(t, session.ID)
	for _, resources := range [][]string{{"https://api.example.com"}, {"https://mcp.example.com", "https://api.example.com"}, {"https://mcp.example.com/"}, {""}} {
		_, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{Resources: resources})
		if !errors.Is(err, sessionstore.ErrResource) {
			t.Errorf("%q: %v", resources, err)
		}
	}
	if diff := cmp.Diff(before, k.row(t, session.ID)); diff != "" {
		t.Error(diff)
	}
	for _, resources := range [][]string{{"https://mcp.example.com"}, {"https://files.example.com", "https://mcp.example.com"}} {
		got, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{Resources: resources})
		if err != nil {
			t.Fatal(err)
		}
		if says := k.says(t, got.Pair); says != "agent for https://mcp.example.com and https://files.example.com" {
			t.Errorf("%q: %s", resources, says)
		}
		pair = got.Pair
	}
}

var thumbprint = strings.Repeat("A", 43)

// RFC 9449 §5.2: a client that needs proofs gets nothing without one, and loses nothing.
func TestClientThatNeedsProofs(t *testing.T) {
	t.Parallel()
	k := setupWith(t, withAgent())
	cfg := withAgent()
	_, pair := k.create(t, sessionstore.CreateParams{ClientID: "agent"}) // before it needed any
	cfg.Clients[0].RequireProof = true
	k.Store = newStore(t, k.pool, k.ring, cfg)
	if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{ClientID: "agent"}); err == nil || err.Error() != `dpop_jkt: missing: the client "agent" needs one` {
		t.Error(err)
	}
	_, bound := k.create(t, sessionstore.CreateParams{ClientID: "agent", KeyThumbprint: thumbprint})
	_, others := k.create(t, sessionstore.CreateParams{})
	k.refresh(t, others.RefreshToken, sessionstore.Rotated)
	if _, err := k.RefreshTokens(t.Context(), string(bound.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrNotProven) {
		t.Error(err)
	}
	for range 2 {
		if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrProofRequired) {
			t.Error(err)
		}
	}
	for _, pair := range []sessionstore.TokenPair{pair, bound} {
		got, err := k.RefreshTokensWithProof(t.Context(), string(pair.RefreshToken), thumbprint, sessionstore.Client{})
		if err != nil || got.Pair.KeyThumbprint != thumbprint {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
