package limits_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
)

// The test binary is the server as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == limits.Argument {
		if err := limits.Serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheServerChecksSignatures(t *testing.T) {
	t.Parallel()

	server, err := limits.Start(t.Context(), []byte(`{"answer":1}`), jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	post := func(address, path, token string) (int, string) {
		client := load.NewClient(address)
		defer client.Close()
		status, got, err := client.Do(load.Request{Method: "POST", Path: path, Type: load.Form, Body: "refresh_token=" + token})
		if err != nil {
			t.Fatal(err)
		}
		return status, string(got)
	}

	if status, got := post(server.Bare, "/", ""); status != 200 || got != `{"answer":1}` {
		t.Errorf("bare: %d %s", status, got)
	}
	for path, other := range map[string]string{limits.EdDSA: limits.HS256, limits.HS256: limits.EdDSA} {
		if status, got := post(server.Chi, path, server.Tokens[path]); status != 200 || got != `{"answer":1}` {
			t.Errorf("%s: %d %s", path, status, got)
		}
		if status, _ := post(server.Chi, path, server.Tokens[other]); status != 400 {
			t.Errorf("%s takes the token of %s", path, other)
		}
	}
}
