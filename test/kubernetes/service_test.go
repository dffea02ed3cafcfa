package kubernetes_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// inCluster is what a container gets that is run here: its environment, with the Secret's files in the folder dir.
func inCluster(one container, dir string) testservice.Env {
	environment := testservice.Env{}
	for _, variable := range one.Env {
		environment[variable.Name] = strings.Replace(variable.Value, "/etc/latchkey", dir, 1)
	}
	return environment
}

// The service accepts what the chart gives it, and answers the probes: while the database is unreachable it is alive but
// not ready. It writes no file.
func TestServiceRunsAsRendered(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"database-url": server.URL(), "key-encryption-key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "service-keys": "backend:" + testservice.Key,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	all := objects(t, mustRender(t, required))
	migrate := find(t, all, "Job", "-migrate").Spec.Template.Spec.Containers[0]
	if printed := testservice.Run(t, dir, inCluster(migrate, dir), migrate.Args...); printed != "the database schema is up to date\n" {
		t.Errorf("the migration printed %q", printed)
	}

	serve := find(t, all, "Deployment", "").Spec.Template.Spec.Containers[0]
	if len(serve.Args) != 1 || serve.Args[0] != "serve" {
		t.Fatalf("the container's arguments are %q", serve.Args)
	}
	place := t.TempDir()
	// It is to end at once, at the end of the test.
	service := testservice.Start(t, place, inCluster(serve, dir).With(testservice.Env{"LATCHKEY_SHUTDOWN_DELAY": "", "TMPDIR": place}))
	t.Cleanup(service.Stop)
	asks := func(p probe) int {
		listener := map[string]string{"public": service.Public, "internal": service.Internal}[p.HTTPGet.Port]
		status, _ := service.Send(http.MethodGet, listener+p.HTTPGet.Path, "", nil)
		return status
	}
	for name, p := range map[string]probe{"startup": serve.StartupProbe, "liveness": serve.LivenessProbe, "readiness": serve.ReadinessProbe} {
		if status := asks(p); status != http.StatusOK {
			t.Errorf("the %s probe is answered with %d", name, status)
		}
	}
	server.Stop()
	service.Await("its outage", func() bool { return asks(serve.ReadinessProbe) == http.StatusServiceUnavailable })
	for name, p := range map[string]probe{"startup": serve.StartupProbe, "liveness": serve.LivenessProbe} {
		if status := asks(p); status != http.StatusOK {
			t.Errorf("without the database the %s probe is answered with %d", name, status)
		}
	}
	// The root file system is read-only.
	if written, err := os.ReadDir(place); err != nil || len(written) > 0 {
		t.Errorf("the service has written %v, %v", written, err)
	}
}
