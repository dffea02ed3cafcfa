package kubernetes_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the manifests and the chart's copy of the alerts anew")

const heading = "# Made of deploy/helm by make manifests: docs/kubernetes.md says what to change in it.\n"

// Generated files are up to date.
func TestManifests(t *testing.T) {
	t.Parallel()
	alerts := read(t, "deploy/observability/alerts.yml")
	if *update {
		write(t, chart+"/alerts.yml", alerts)
	}
	plain := heading + manifest(mustRender(t, read(t, "deploy/helm/examples/plain.yaml")))
	if *update {
		write(t, root+"/deploy/kubernetes/latchkey.yaml", plain)
	}
	for path, want := range map[string]string{"deploy/helm/latchkey/alerts.yml": alerts, "deploy/kubernetes/latchkey.yaml": plain} {
		if diff := cmp.Diff(want, read(t, path)); diff != "" {
			t.Errorf("%s is stale, make manifests writes it (-want +got):\n%s", path, diff)
		}
	}
	validate(t, read(t, "deploy/kubernetes/latchkey.yaml"))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
