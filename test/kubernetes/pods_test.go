package kubernetes_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pods calls look with each pod of each variant.
func pods(t *testing.T, look func(t *testing.T, kind string, one pod)) {
	t.Helper()
	for name, values := range variants(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := 0
			for _, one := range objects(t, mustRender(t, values...)) {
				if one.Kind == "Deployment" || one.Kind == "Job" {
					look(t, one.Kind, one.Spec.Template.Spec)
					seen++
				}
			}
			if seen == 0 {
				t.Error("there are no pods")
			}
		})
	}
}

// Any user that is not root, on a file system that cannot be written, without capabilities and the cluster's tokens.
func TestPodsMayDoLittle(t *testing.T) {
	t.Parallel()
	pods(t, func(t *testing.T, kind string, one pod) {
		t.Helper()
		context := one.SecurityContext
		for _, mayBeGiven := range []string{"runAsUser", "fsGroup", "fsGroupChangePolicy"} {
			delete(context, mayBeGiven)
		}
		want := map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}
		if diff := cmp.Diff(want, context); diff != "" {
			t.Errorf("the pod of the %s (-want +got):\n%s", kind, diff)
		}
		if one.AutomountServiceAccountToken == nil || *one.AutomountServiceAccountToken {
			t.Errorf("the %s has the token of its service account", kind)
		}
		if one.EnableServiceLinks == nil || *one.EnableServiceLinks {
			t.Errorf("the %s has variables of other services", kind)
		}
		want = map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": map[string]any{"drop": []any{"ALL"}},
		}
		for _, container := range one.Containers {
			if diff := cmp.Diff(want, container.SecurityContext); diff != "" {
				t.Errorf("the container of the %s (-want +got):\n%s", kind, diff)
			}
		}
	})
}

// The user is the image's, or OpenShift's choice, unless one is given.
func TestUser(t *testing.T) {
	t.Parallel()
	for values, want := range map[string][2]any{
		"": {nil, 65532.0}, "fsGroup: null": {nil, nil}, "runAsUser: 1000660000": {1000660000.0, 65532.0},
	} {
		context := find(t, objects(t, mustRender(t, required, values)), "Deployment", "").Spec.Template.Spec.SecurityContext
		if got := [2]any{context["runAsUser"], context["fsGroup"]}; got != want {
			t.Errorf("with %q the user and group are %v, want %v", values, got, want)
		}
	}
}

// No secret is in the environment, in an argument or in the notes: they are files, which others may not read.
func TestSecretsAreFiles(t *testing.T) {
	t.Parallel()
	pods(t, func(t *testing.T, kind string, one pod) {
		t.Helper()
		mounted := map[string]bool{}
		for _, volume := range one.Volumes {
			const ownerAndGroup = 0o440
			if volume.Secret.DefaultMode != ownerAndGroup {
				t.Errorf("the %s's files have mode %o, want %o", kind, volume.Secret.DefaultMode, ownerAndGroup)
			}
			for _, item := range volume.Secret.Items {
				mounted["/etc/latchkey/"+item.Path] = true
			}
		}
		for _, container := range one.Containers {
			if len(container.EnvFrom) > 0 {
				t.Errorf("the %s has variables from elsewhere", kind)
			}
			for _, variable := range container.Env {
				if variable.ValueFrom != nil {
					t.Errorf("%s is from elsewhere", variable.Name)
				}
				if strings.HasSuffix(variable.Name, "_FILE") && !mounted[variable.Value] {
					t.Errorf("%s is %s, which is not mounted", variable.Name, variable.Value)
				}
			}
		}
	})
	for _, hook := range []string{"", "migration: {hook: false}"} {
		for name, text := range mustRender(t, made, hook) {
			if strings.Contains(text, "secret-in-") {
				t.Errorf("%s has a secret in it", name)
			}
		}
	}
}

// Each setting is one that Latchkey has, and a secret is one that it reads from a file.
func TestSettingsAreKnown(t *testing.T) {
	t.Parallel()
	known := documented(t)
	pods(t, func(t *testing.T, kind string, one pod) {
		t.Helper()
		for _, container := range one.Containers {
			for _, variable := range container.Env {
				secret, isFile := strings.CutSuffix(variable.Name, "_FILE")
				switch {
				case strings.HasPrefix(variable.Name, "OTEL_"), known[variable.Name] && !slices.Contains(secrets, variable.Name):
				case isFile && slices.Contains(secrets, secret):
				default:
					t.Errorf("the %s sets %s", kind, variable.Name)
				}
			}
		}
	})
}

// Whatever the delay, there is time for it, for requests and for jobs before the pod is killed.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	const drain = 30 * time.Second // docs/operations.md#start-and-stop
	for _, delay := range []int{0, 10, 45} {
		one := find(t, objects(t, mustRender(t, required, "shutdownDelay: "+strconv.Itoa(delay))), "Deployment", "").Spec.Template.Spec
		var set time.Duration
		for _, variable := range one.Containers[0].Env {
			if variable.Name == "LATCHKEY_SHUTDOWN_DELAY" {
				set, _ = time.ParseDuration(variable.Value)
			}
		}
		if want := time.Duration(delay) * time.Second; set != want {
			t.Errorf("LATCHKEY_SHUTDOWN_DELAY is %v, want %v", set, want)
		}
		if grace := time.Duration(one.TerminationGracePeriodSeconds) * time.Second; grace < set+drain {
			t.Errorf("with a delay of %v the pod is killed after %v, want %v at least", set, grace, set+drain)
		}
	}
}
