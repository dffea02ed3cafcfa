package kubernetes_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Helm waits for the migration before it changes anything, and the migration finds the database's address and no key.
func TestMigrationIsAHook(t *testing.T) {
	t.Parallel()
	all := objects(t, mustRender(t, made))
	job, secret := find(t, all, "Job", "-migrate"), find(t, all, "Secret", "-migrate")
	for _, one := range []object{job, secret} {
		if hook := one.Metadata.Annotations["helm.sh/hook"]; hook != "pre-install,pre-upgrade" {
			t.Errorf("the %s is a hook for %q", one.Kind, hook)
		}
	}
	if weight(t, secret) >= weight(t, job) {
		t.Error("the Secret is made after the Job")
	}
	if name := job.Spec.Template.Spec.Volumes[0].Secret.SecretName; name != secret.Metadata.Name {
		t.Errorf("the Job's Secret is %q, which is not there yet", name)
	}
	want := map[string][]byte{"database-url": []byte("postgres://latchkey:secret-in-address@db.example.com/latchkey")}
	if diff := cmp.Diff(want, secret.Data); diff != "" {
		t.Errorf("the Job's Secret (-want +got):\n%s", diff)
	}
	for _, one := range all {
		if one.Kind != "Job" && one.Metadata.Name != secret.Metadata.Name && len(one.Metadata.Annotations) > 0 {
			t.Errorf("the %s is a hook as well", one.Kind)
		}
	}
}

func weight(t *testing.T, hook object) int {
	t.Helper()
	number, err := strconv.Atoi(hook.Metadata.Annotations["helm.sh/hook-weight"])
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// Without Helm there are no hooks: the Job is one object among the others, and has the Secret of all.
func TestMigrationWithoutHelm(t *testing.T) {
	t.Parallel()
	all := objects(t, mustRender(t, made, "migration: {hook: false, databaseURLFile: migrate-database-url}\nsecrets: {values: {migrate-database-url: 'postgres://'}}"))
	job := find(t, all, "Job", "-migrate")
	if len(job.Metadata.Annotations) > 0 {
		t.Errorf("the Job has %v", job.Metadata.Annotations)
	}
	secret := find(t, all, "Secret", "")
	for _, item := range job.Spec.Template.Spec.Volumes[0].Secret.Items {
		if secret.Data[item.Key] == nil {
			t.Errorf("the Secret has no %s", item.Key)
		}
	}
	if name := job.Spec.Template.Spec.Volumes[0].Secret.SecretName; name != secret.Metadata.Name {
		t.Errorf("the Job's Secret is %q", name)
	}
}

// The migration's pod has the address for the role that may migrate, and the service's has not.
func TestMigrationHasARoleOfItsOwn(t *testing.T) {
	t.Parallel()
	all := objects(t, mustRender(t, read(t, "deploy/helm/examples/managed-postgresql.yaml")))
	var keys []string
	for _, item := range find(t, all, "Job", "-migrate").Spec.Template.Spec.Volumes[0].Secret.Items {
		keys = append(keys, item.Key)
	}
	if diff := cmp.Diff([]string{"ca.crt", "migrate-database-url"}, keys); diff != "" {
		t.Errorf("the Job (-want +got):\n%s", diff)
	}
	for _, item := range find(t, all, "Deployment", "").Spec.Template.Spec.Volumes[0].Secret.Items {
		if item.Key == "migrate-database-url" {
			t.Error("the service could change tables")
		}
	}
}
