package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

var update = flag.Bool("update", false, "write the table of docs/clients.md anew")

// library is what one of them said of a good access token and of one with another signature.
type library struct {
	Version string   `json:"version"`
	Answers []answer `json:"answers"`
}

type answer struct {
	Subject string `json:"subject"`
	Error   string `json:"error"`
}

// supports reports whether it accepts the good one, and it alone.
func (l library) supports(t *testing.T, name, algorithm string) bool {
	t.Helper()
	if len(l.Answers) != 2 || l.Answers[1].Error == "" {
		t.Fatalf("%s, %s: %+v", name, algorithm, l.Answers)
	}
	if l.Answers[0].Error != "" {
		t.Logf("%s, %s: %s", name, algorithm, l.Answers[0].Error)
		return false
	}
	if l.Answers[0].Subject != "ada" {
		t.Errorf("%s, %s: the subject is %q", name, algorithm, l.Answers[0].Subject)
	}
	return true
}

// The table of docs/clients.md, of libraries and the algorithms that they verify, has the results of these tests.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	need(t, python, "ruby")
	node := installNode(t)
	algorithms := []string{"EdDSA", "ES256", "RS256", "PS256"}
	seen := make([]map[string]library, len(algorithms))
	var group sync.WaitGroup
	for i, algorithm := range algorithms {
		s := start(t, testservice.Env{"LATCHKEY_KEY_ALGORITHM": algorithm})
		group.Go(func() { seen[i] = tryLibraries(t, s, node, algorithm) })
	}
	group.Wait()
	if t.Failed() {
		return
	}

	table := "| library | version | " + strings.Join(algorithms, " | ") + " |\n| --- | ---" + strings.Repeat(" | :---:", len(algorithms)) + " |\n"
	for _, name := range slices.SortedFunc(maps.Keys(seen[0]), func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		table += "| " + name + " | " + seen[0][name].Version
		supported := false
		for i, algorithm := range algorithms {
			mark := "no"
			if seen[i][name].supports(t, name, algorithm) {
				mark, supported = "yes", true
			}
			table += " | " + mark
		}
		table += " |\n"
		if !supported {
			t.Errorf("%s verifies nothing: it is not asked as it should be", name)
		}
	}
	holdTable(t, table)
}

// python is the system's own: what Debian packages is nowhere else.
const python = "/usr/bin/python3"

// tryLibraries has each library verify.
func tryLibraries(t *testing.T, s *service, node, algorithm string) map[string]library {
	t.Helper()
	pair := s.signInPair("ada")
	tokens := []string{pair.AccessToken, pair.AccessToken[:len(pair.AccessToken)-8] + "AAAAAAAA"}
	environment := testservice.Env{
		"PATH": os.Getenv("PATH"), "ISSUER": s.Public, "AUDIENCE": audience, "ALGORITHM": algorithm, "REFRESH_TOKEN": pair.RefreshToken,
	}.List()
	here, err := os.Getwd()
	if err != nil {
		t.Error(err)
	}
	all := inProcess(t, s.Public, algorithm, tokens)
	for _, program := range []struct{ dir, name, script string }{
		{node, "node", "verifiers.mjs"}, {here, python, "python/verifiers.py"}, {here, "ruby", "ruby/verifiers.rb"},
	} {
		var said map[string]library
		if err := json.Unmarshal([]byte(run(t, program.dir, environment, program.name, append([]string{program.script}, tokens...)...)), &said); err != nil {
			t.Errorf("%s: %v", program.script, err)
		}
		maps.Copy(all, said)
	}
	return all
}

// inProcess has the libraries that are written in Go verify.
func inProcess(t *testing.T, issuer, algorithm string, tokens []string) map[string]library {
	t.Helper()
	withKeyfunc, err := withKeyfunc(t.Context(), issuer, algorithm)
	if err != nil {
		t.Error(err)
	}
	all := map[string]library{}
	for module, verify := range map[string]verify{
		"coreos/go-oidc/v3": withGoOIDC(t.Context(), issuer, algorithm), "golang-jwt/jwt/v5": withKeyfunc, "open-policy-agent/opa": withOPA(issuer, algorithm),
	} {
		one := library{Version: versionOf(t, "github.com/"+module)}
		for _, token := range tokens {
			subject, err := verify(t.Context(), token)
			said := answer{Subject: subject}
			if err != nil {
				said.Error = err.Error()
			}
			one.Answers = append(one.Answers, said)
		}
		all[module] = one
	}
	return all
}

// withOPA is a policy of Open Policy Agent.
func withOPA(issuer, algorithm string) verify {
	const policy = `package latchkey
subject := claims.sub if {
	[valid, _, claims] := io.jwt.decode_verify(input.token, {"cert": input.keys, "alg": input.alg, "iss": input.iss, "aud": input.aud})
	valid
}`
	return func(ctx context.Context, accessToken string) (string, error) {
		keys, err := fetch(ctx, issuer+"/.well-known/jwks.json")
		if err != nil {
			return "", err
		}
		input := map[string]any{"token": accessToken, "keys": keys, "alg": algorithm, "iss": issuer, "aud": audience}
		results, err := rego.New(rego.Module("latchkey.rego", policy), rego.Query("data.latchkey.subject"), rego.Input(input)).Eval(ctx)
		if err != nil {
			return "", err
		}
		if len(results) == 0 {
			return "", errors.New("the policy does not allow it")
		}
		return fmt.Sprint(results[0].Expressions[0].Value), nil
	}
}

// fetch returns a document.
func fetch(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// versionOf returns the version of a module that is built in.
func versionOf(t *testing.T, module string) string {
	t.Helper()
	return strings.TrimPrefix(strings.TrimSpace(run(t, ".", os.Environ(), "go", "list", "-m", "-f", "{{.Version}}", module)), "v")
}

// documented is the table in docs/clients.md, by its first line.
var documented = regexp.MustCompile(`(?m)^\| library \| version \|.*\n(?:\|.*\n)+`)

// holdTable compares the document with what was seen, or writes it.
func holdTable(t *testing.T, table string) {
	t.Helper()
	text := readDocument(t, "clients.md")
	if *update {
		text = documented.ReplaceAllLiteralString(text, table)
		if err := os.WriteFile(filepath.Join("..", "..", "docs", "clients.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found := documented.FindString(text); found != table {
		t.Errorf("docs/clients.md has\n%swhere this was seen (-update writes it):\n%s", found, table)
	}
}
