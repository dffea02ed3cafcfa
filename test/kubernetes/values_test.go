package kubernetes_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secrets are the settings that may each be in a file: docs/operations.md#secrets-in-files
var secrets = []string{
	"LATCHKEY_COMPAS_SIGNING_KEY", "LATCHKEY_DATABASE_URL", "LATCHKEY_DATA_ENCRYPTION_KEYSET", "LATCHKEY_DIRECT_DATABASE_URL",
	"LATCHKEY_KEY_ENCRYPTION_KEY", "LATCHKEY_LEAK_WEBHOOK_SECRET", "LATCHKEY_LEAK_WEBHOOK_URL", "LATCHKEY_SERVICE_KEYS",
	"LATCHKEY_SHARDS",
}

// owned are the settings that the chart itself sets, and one for what is not in the image.
var owned = []string{"LATCHKEY_PUBLIC_ADDR", "LATCHKEY_INTERNAL_ADDR", "LATCHKEY_SHUTDOWN_DELAY", "LATCHKEY_ISSUER", "LATCHKEY_VAR_DIR"}

var (
	documentedSetting = regexp.MustCompile("(?m)^\\| `(LATCHKEY_\\w+)`")
	documentedFile    = regexp.MustCompile("`(LATCHKEY_\\w+_FILE)`")
)

// documented are all settings.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, name := range documentedSetting.FindAllStringSubmatch(read(t, "docs/settings.md"), -1) {
		known[name[1]] = true
	}
	if len(known) < 50 {
		t.Fatalf("docs/settings.md has %d settings", len(known))
	}
	return known
}

// The schema accepts each setting in its place, and those with secrets only as files.
func TestSchemaKnowsTheSettings(t *testing.T) {
	t.Parallel()
	var settings, files []string
	for name := range documented(t) {
		switch {
		case strings.HasSuffix(name, "_FILE"):
			files = append(files, name)
		case !slices.Contains(secrets, name) && !slices.Contains(owned, name):
			settings = append(settings, name)
		}
	}
	for _, name := range secrets {
		files = append(files, name+"_FILE")
	}
	slices.Sort(settings)
	slices.Sort(files)
	files = slices.Compact(files)

	type properties struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var schema struct {
		Properties struct {
			Settings properties `json:"settings"`
			Secrets  struct {
				Properties struct {
					Files properties `json:"files"`
				} `json:"properties"`
			} `json:"secrets"`
		} `json:"properties"`
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/helm/latchkey/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings, slices.Sorted(maps.Keys(schema.Properties.Settings.Properties))); diff != "" {
		t.Errorf("settings (-documented +schema):\n%s", diff)
	}
	if diff := cmp.Diff(files, slices.Sorted(maps.Keys(schema.Properties.Secrets.Properties.Files.Properties))); diff != "" {
		t.Errorf("secrets.files (-documented +schema):\n%s", diff)
	}
	_, section, _ := strings.Cut(read(t, "docs/operations.md"), "\n### Secrets in files\n")
	section, _, _ = strings.Cut(section, "\n### ")
	for _, name := range documentedFile.FindAllStringSubmatch(section, -1) {
		if !slices.Contains(files, name[1]) {
			t.Errorf("%s is a file that the chart does not know", name[1])
		}
	}
}

// A value that is wrong, or that is not there, is refused by its name.
func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, wrong := range []struct{ values, want string }{
		{"issuer: login.example.com", "/issuer"},
		{"issuer: https://login.example.com/", "/issuer"},
		{"issuer: ''", "issuer is not set"},
		{"image: {repository: ''}", "image.repository is not set"},
		{"image: {digest: latest}", "/image/digest"},
		{"replica: 3", "replica"},
		{"replicas: '3'", "/replicas"},
		{"settings: {LATCHKEY_RATE_LIMTI: 1}", "LATCHKEY_RATE_LIMTI"},
		{"settings: {LATCHKEY_ISSUER: https://login.example.com}", "LATCHKEY_ISSUER"},
		{"settings: {LATCHKEY_DATABASE_URL: postgres://}", "LATCHKEY_DATABASE_URL"},
		{"settings: {LATCHKEY_SERVICE_KEYS: 'shop:1'}", "LATCHKEY_SERVICE_KEYS"},
		{"settings: {LATCHKEY_AUDIT_LOG: /var/log/audit.log}", "/settings/LATCHKEY_AUDIT_LOG"},
		{"settings: {OTEL_EXPORTER_OTLP_HEADERS: 'key=1'}", "OTEL_EXPORTER_OTLP_HEADERS"},
		{"secrets: {files: {LATCHKEY_DATABASE_FILE: database-url}}", "LATCHKEY_DATABASE_FILE"},
		{"secrets: {files: {LATCHKEY_DATABASE_URL_FILE: ../key}}", "/secrets/files/LATCHKEY_DATABASE_URL_FILE"},
		{"secrets: {existingSecret: ''}", "secrets.existingSecret is not set"},
		{"secrets: {values: {database-url: postgres://}}", "secrets.existingSecret and secrets.values are both set"},
		{"secrets: {existingSecret: '', values: {service-keys: a}}", "secrets.values has no database-url"},
		{"shutdownDelay: 10s", "/shutdownDelay"},
		{"runAsUser: 0", "/runAsUser"},
		{"services: {public: {port: 0}}", "/services/public/port"},
		{"services: {internal: {type: LoadBalancer}}", "type"},
		{"podDisruptionBudget: {maxUnavailable: some}", "/podDisruptionBudget/maxUnavailable"},
	} {
		if _, err := render(t, required, wrong.values); err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: %v, want an error with %q", wrong.values, err, wrong.want)
		}
	}
}
