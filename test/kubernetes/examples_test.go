package kubernetes_test

import (
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// required is the least that must be given.
const required = `
issuer: https://login.example.com
image: {repository: registry.example.com/latchkey}
secrets: {existingSecret: latchkey}
`

// made is what else may be given for a Secret: its contents.
const made = `
issuer: https://login.example.com
image: {repository: registry.example.com/latchkey}
secrets:
  values:
    database-url: postgres://latchkey:secret-in-address@db.example.com/latchkey
    key-encryption-key: secret-in-sealing-key
    service-keys: secret-in-service-key
`

// everything turns on what is off, and gives what may be given.
const everything = `
image: {tag: "1.2.3", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
replicas: 5
settings:
  LATCHKEY_TRUSTED_PROXIES: 10.0.0.0/8
  LATCHKEY_RATE_LIMIT: 1000000
  LATCHKEY_DPOP_NONCE: true
  OTEL_TRACES_EXPORTER: otlp
secrets:
  extraFiles: [ca.crt]
  files:
    LATCHKEY_DIRECT_DATABASE_URL_FILE: direct-database-url
    LATCHKEY_CLIENTS_FILE: clients.json
    LATCHKEY_KEY_ENCRYPTION_KEY_FILE: null
    LATCHKEY_SIGNING_KEYS_FILE: signing-keys.json
migration: {databaseURLFile: migrate-database-url}
shutdownDelay: 25
fsGroup: 1000660000
runAsUser: 1000660000
serviceAccountName: latchkey
affinity: {nodeAffinity: {}}
nodeSelector: {disk: none}
tolerations: [{key: spot, operator: Exists}]
priorityClassName: high
podLabels: {team: identity}
podAnnotations: {note: "yes"}
podDisruptionBudget: {maxUnavailable: 25%}
services:
  public: {type: LoadBalancer, annotations: {internal: "no"}, port: 8080}
  internal: {annotations: {topology: local}, port: 9081}
ingress: {enabled: true, className: nginx, annotations: {a: b}, tlsSecretName: login}
networkPolicy:
  internalFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  publicFrom: [{ipBlock: {cidr: 10.0.0.0/8}}]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
`

// nothing turns off what is on.
const nothing = `
migration: {enabled: false}
spreadOver: []
fsGroup: null
podDisruptionBudget: {enabled: false}
networkPolicy: {enabled: false}
`

// variants are values that are right: the examples, and all switches on, off, and one by one.
func variants(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"required": {required}, "everything": {required, everything}, "nothing": {required, nothing},
		"made":               {made},
		"made, no hook":      {made, "migration: {hook: false}"},
		"no hook":            {required, "migration: {hook: false}"},
		"digest":             {required, "image: {digest: 'sha256:" + strings.Repeat("0a", 32) + "'}"},
		"ingress":            {required, "ingress: {enabled: true}"},
		"service monitor":    {required, "serviceMonitor: {enabled: true}"},
		"rules":              {required, "prometheusRule: {enabled: true}"},
		"no network policy":  {required, "networkPolicy: {enabled: false}"},
		"no budget":          {required, "podDisruptionBudget: {enabled: false}"},
		"no migration":       {required, "migration: {enabled: false}"},
		"made, no migration": {made, "migration: {enabled: false}"},
		"node port":          {required, "services: {public: {type: NodePort}}"},
	}
	examples, err := filepath.Glob(root + "/deploy/helm/examples/*.yaml")
	if err != nil || len(examples) < 4 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, example := range examples {
		all[filepath.Base(example)] = []string{read(t, "deploy/helm/examples", filepath.Base(example))}
	}
	return all
}

var schemas = sync.OnceValues(func() (validator.Validator, error) {
	return validator.New([]string{"schemas/{{.ResourceKind}}{{.KindSuffix}}.json"}, validator.Opts{Strict: true})
})

// validate validates manifests against the schemas, strictly.
func validate(t *testing.T, text string) int {
	t.Helper()
	against, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	valid := 0
	for _, result := range against.Validate("manifest", io.NopCloser(strings.NewReader(text))) {
		switch result.Status {
		case validator.Valid:
			valid++
		case validator.Empty:
		case validator.Error, validator.Skipped, validator.Invalid:
			t.Errorf("%v\n%s", result.Err, result.Resource.Bytes)
		}
	}
	return valid
}

func TestObjectsAreValid(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for name, values := range variants(t) {
		rendered := mustRender(t, values...)
		all := objects(t, rendered)
		if strings.TrimSpace(rendered[notes]) == "" {
			t.Errorf("%s: there are no notes", name)
		}
		if valid := validate(t, manifest(rendered)); valid != len(all) {
			t.Errorf("%s: %d objects, of which %d are valid", name, len(all), valid)
		}
		for _, one := range all {
			kinds[one.Kind] = true
		}
	}
	const want = 9
	if len(kinds) != want {
		t.Errorf("%d kinds of objects, there are %d: %v", len(kinds), want, kinds)
	}
}

// The validation of the objects notices a fault in one.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	rendered := mustRender(t, required)["deployment.yaml"]
	for _, change := range [][2]string{
		{"terminationGracePeriodSeconds:", "terminationGracePeriod:"},
		{"replicas: 2", "replicas: two"},
		{"readOnlyRootFilesystem:", "readonlyRootFilesystem:"},
		{"apiVersion: apps/v1", "apiVersion: apps/v1beta1"},
	} {
		wrong := strings.Replace(rendered, change[0], change[1], 1)
		if wrong == rendered {
			t.Fatalf("the Deployment has no %s", change[0])
		}
		against, err := schemas()
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range against.Validate("manifest", io.NopCloser(strings.NewReader(wrong))) {
			if result.Status == validator.Valid {
				t.Errorf("%s is taken", change[1])
			}
		}
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for name, values := range variants(t) {
		merged := map[string]any{}
		for _, file := range values {
			merged = loader.MergeMaps(merged, parse(t, file))
		}
		for _, message := range lint.RunAll(chart, merged, "sessions").Messages {
			// It has no icon.
			if message.Severity > 1 {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
}
