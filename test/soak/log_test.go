package soak_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// logLine has the members of a line of the service's log that the test reads.
type logLine struct {
	Level    string  `json:"level"`
	Message  string  `json:"msg"`
	Public   string  `json:"public"`
	Internal string  `json:"internal"`
	Route    string  `json:"route"`
	Status   int     `json:"status"`
	Outcome  string  `json:"outcome"`
	Reason   string  `json:"reason"`
	Leak     *report `json:"leak"`
}

// logbook is what all processes logged.
type logbook struct {
	soak    *soak
	secrets map[string]string
	leaks   reports
}

func newLogbook(s *soak, settings testservice.Env) *logbook {
	s.t.Helper()
	database, err := pgx.ParseConfig(settings["LATCHKEY_DATABASE_URL"])
	if err != nil || database.Password == "" && !s.shards.areOnCitus() {
		s.t.Fatalf("the tests' database has no password: %v", err)
	}
	return &logbook{soak: s, secrets: map[string]string{
		"token":               "eyJ", // {" in base64, which every JWT begins with
		"service key":         testservice.Key,
		"webhook's secret":    strings.TrimPrefix(webhookSecret, "whsec_"),
		"Compas' signing key": compasKey,
		"webhook's address":   settings["LATCHKEY_LEAK_WEBHOOK_URL"],
		"database's password": database.Password,
		"private signing key": privateKey(s.t, settings["LATCHKEY_SIGNING_KEYS_FILE"]),
		"key encryption key":  settings["LATCHKEY_KEY_ENCRYPTION_KEY"],
	}}
}

// logReader reads the log of one process while it writes it.
type logReader struct {
	book  *logbook
	ready func(public, internal string)

	mu   sync.Mutex
	rest []byte // a line that has no end yet
	last string
}

func (b *logbook) reader(ready func(public, internal string)) *logReader {
	return &logReader{book: b, ready: ready}
}

func (r *logReader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		line, rest, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		r.last = string(line)
		r.read(r.last)
		r.rest = rest
	}
}

// end looks at what a process that was killed had begun to write.
func (r *logReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.lookForSecrets(string(r.rest))
}

func (r *logReader) lastWords() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *logReader) read(text string) {
	s := r.book.soak
	r.book.lookForSecrets(text)
	var line logLine
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		if !saysDatabaseAway(text) {
			s.t.Errorf("a line of the log is not JSON: %s", text)
		}
		return
	}
	switch {
	case line.Message == "ready":
		r.ready("http://"+line.Public, "http://"+line.Internal)
	case line.Leak != nil:
		r.book.leaks.add(s.t, "log", *line.Leak)
	case line.Message != "request":
		s.tally.add("log: " + line.Level + " " + line.Message)
	case line.Outcome != "":
		s.tally.add("refresh: " + line.Outcome)
	case line.Route == refreshPath:
		s.tally.add("refresh: " + strings.TrimSpace(strconv.Itoa(line.Status)+" "+line.Reason))
	default:
		s.tally.add("other requests: " + strconv.Itoa(line.Status))
	}
	// 500 is the service's own mistake; an outage is 503.
	if line.Status >= 500 && line.Status != 503 || line.Outcome == "healed" {
		s.t.Errorf("the log says: %s", text)
	}
}

func (b *logbook) lookForSecrets(text string) {
	for _, what := range slices.Sorted(maps.Keys(b.secrets)) {
		if b.secrets[what] != "" && strings.Contains(text, b.secrets[what]) {
			b.soak.t.Errorf("the %s was logged: %s", what, text)
		}
	}
}
