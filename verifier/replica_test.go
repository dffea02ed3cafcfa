package verifier_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const replicaEnv = "LATCHKEY_TEST_REPLICA"

// replicaJob is what another process must verify, and how: with the database, or
// with the service.
type replicaJob struct {
	Token    string `json:"token"`
	Database string `json:"database"`
	Keys     string `json:"keys"` // a private key set
	Internal string `json:"internal"`
	KeysURL  string `json:"keys_url"`
}

// replicaReport is what it says about that, several times a second.
type replicaReport struct {
	// Accepted is when the last verification began that accepted the token.
	Accepted time.Time `json:"accepted"`
	// Refused and Unavailable count the other answers.
	Refused     int `json:"refused"`
	Unavailable int `json:"unavailable"`
}

func isReplica() bool { return os.Getenv(replicaEnv) != "" }

// replica is the other process.
func replica() int {
	if err := runReplica(os.Getenv(replicaEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runReplica(text string) error {
	var job replicaJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v, err := job.verifier(ctx)
	if err != nil {
		return err
	}
	go func() { _ = v.Run(ctx) }()
	var report replicaReport
	out, last := json.NewEncoder(os.Stdout), time.Now()
	for {
		began := time.Now()
		switch _, err := v.Verify(ctx, job.Token); {
		case err == nil:
			report.Accepted = began
		case errors.Is(err, verifier.ErrRevoked):
			report.Refused++
		case errors.Is(err, verifier.ErrUnavailable):
			report.Unavailable++
		default:
			return err
		}
		if time.Since(last) > 10*time.Millisecond {
			if err := out.Encode(report); err != nil {
				return nil // no server listens any more
			}
			last = time.Now()
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (j replicaJob) verifier(ctx context.Context) (*verifier.Verifier, error) {
	cfg := verifier.Config{Bound: bound, Strict: nobody, Logger: slog.New(slog.DiscardHandler)}
	if j.Database == "" {
		return verifier.NewRemote(verifier.RemoteConfig{
			Tokens: tokenConfig(), Internal: j.Internal, ServiceKey: serviceKey, Keys: j.KeysURL,
		}, cfg)
	}
	pool, err := pgxpool.New(ctx, j.Database)
	if err != nil {
		return nil, err
	}
	ring, err := tokens.ParseKeyRing([]byte(j.Keys))
	if err != nil {
		return nil, err
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{Tokens: tokenConfig()})
	if err != nil {
		return nil, err
	}
	return store.Verifier(cfg)
}

// A process is stopped for longer than the bound, and continued: what it reads then
// was written for it while it stood still, and must not count as fresh.
func TestReplicaThatIsPaused(t *testing.T) {
	t.Parallel()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	keys := `{"keys":[` + string(jwk) + `]}`
	s := newService(t)
	r := serve(t, serviceOn(t, s.url, parseRing(t, keys)))
	for name, job := range map[string]replicaJob{
		"with the database": {Database: s.url, Keys: keys},
		"with the service":  {Internal: r.internal.URL, KeysURL: r.public.URL + "/.well-known/jwks.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, token := r.session(t)
			job.Token = token
			process, reports := startReplica(t, job)
			await := func(what string, done func(replicaReport) bool) replicaReport {
				t.Helper()
				for deadline := time.After(patience); ; {
					select {
					case report, ok := <-reports:
						if !ok {
							t.Fatal("the process ended")
						}
						if done(report) {
							return report
						}
					case <-deadline:
						t.Fatalf("waited timed out: %s", what)
					}
				}
			}
			await("it accepts", func(r replicaReport) bool { return !r.Accepted.IsZero() })
			signal(t, process, syscall.SIGSTOP)
			time.Sleep(100 * time.Millisecond) // the replica is frozen
			revoked := r.revoke(t, session)
			time.Sleep(3 * bound / 2)
			signal(t, process, syscall.SIGCONT)
			report := await("it refuses", func(r replicaReport) bool { return r.Refused > 0 })
			longest := report.Accepted.Sub(revoked)
			t.Logf("the last verification that accepted began %v after the revocation; %d could not tell", longest, report.Unavailable)
			if longest > bound {
				t.Errorf("a revoked token was accepted for %v", longest)
			}
		})
	}
}

func startReplica(t *testing.T, job replicaJob) (*os.Process, <-chan replicaReport) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env, command.Stderr = append(os.Environ(), replicaEnv+"="+string(text)), os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // stopped or not
		_ = command.Wait()
	})
	reports := make(chan replicaReport, 10_000)
	go func() {
		defer close(reports)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var report replicaReport
			if json.Unmarshal(lines.Bytes(), &report) == nil {
				reports <- report
			}
		}
	}()
	return command.Process, reports
}

func signal(t *testing.T, process *os.Process, s syscall.Signal) {
	t.Helper()
	if err := process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
