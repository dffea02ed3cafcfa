package main_test

import (
	"errors"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// The reader of the log may disappear, or stop: that ends no service, and holds up none of its answers.
func TestLogWithoutAReader(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*os.File) error{
		"the reader goes":  (*os.File).Close,
		"the reader stops": func(*os.File) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			internal := testservice.FreeAddress(t)
			settings := configure(t, testdb.URL(t)).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": internal})
			cmd := testservice.Command(t.Context(), t.TempDir(), settings, "serve")
			cmd.Stdout, cmd.Stderr = writer, writer
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(leave(reader), writer.Close()); err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Timeout: testservice.Patience}
			get := func(path string) (int, error) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+internal+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(request)
				if err != nil {
					return 0, err
				}
				return answer.StatusCode, answer.Body.Close()
			}
			testservice.Await(t, "readiness", func() bool {
				status, err := get("/readyz")
				return err == nil && status == http.StatusOK
			})
			for range 1000 { // a pipe holds 64 KiB, some 250 of these lines
				if status, err := get("/v1/sessions"); status != http.StatusUnauthorized || err != nil {
					t.Fatal(status, err)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
