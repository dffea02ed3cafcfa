package clients_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// holdDemo runs examples/demo as `make demo` does, with the client built in a folder, and visits it. With -update it takes
// the screenshots for the documents.
func holdDemo(t *testing.T, client string) {
	t.Helper()
	place := filepath.Join(client, "demo")
	copyTracked(t, "../../examples/demo", place)
	port := freePort(t)
	demo := exec.CommandContext(context.WithoutCancel(t.Context()), "node", filepath.Join(place, "server.mjs"))
	demo.Env = testservice.Env{
		"PATH": os.Getenv("PATH"), "API": testservice.Program(), "CLIENT": filepath.Join(client, "dist"), "PLACE": filepath.Join(testservice.Place(t), "demo"),
		"PORT": port, "PUBLIC": testservice.FreeAddress(t), "INTERNAL": testservice.FreeAddress(t),
	}.List()
	var out testservice.Output
	demo.Stdout, demo.Stderr = &out, &out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil || t.Failed() {
			t.Errorf("the demo has ended with %v:\n%s", err, &out)
		}
	})
	testservice.Await(t, "the demo", func() bool { return out.String() != "" })

	environment := testservice.Env{"PATH": os.Getenv("PATH"), "HOME": client, "DEMO": "http://localhost:" + port}
	if *update {
		pictures, err := filepath.Abs("../../docs/images")
		if err != nil {
			t.Fatal(err)
		}
		environment["SCREENSHOTS"] = pictures
	}
	t.Logf("%s", run(t, place, environment.List(), "node", "--test"))
}
