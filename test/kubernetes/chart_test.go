package kubernetes_test

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	root  = "../.." // of the repository
	chart = root + "/deploy/helm/latchkey"
	notes = "NOTES.txt"
)

func TestMain(m *testing.M) { os.Exit(testservice.Main(m.Run)) }

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parse reads values as a file has them.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values, err := loader.LoadValues(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// render returns the chart's files by their names, as `helm template latchkey` makes them of values files, of which the
// later ones count.
func render(t *testing.T, files ...string) (map[string]string, error) {
	t.Helper()
	values := map[string]any{}
	for _, file := range files {
		values = loader.MergeMaps(values, parse(t, file))
	}
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "latchkey", Namespace: "sessions", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, release, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), loaded, all)
	if err != nil {
		return nil, err
	}
	made := map[string]string{}
	for name, text := range rendered {
		if base := path.Base(name); strings.TrimSpace(text) != "" && !strings.HasPrefix(base, "_") {
			made[base] = text
		}
	}
	return made, nil
}

// mustRender is render for values that are right.
func mustRender(t *testing.T, files ...string) map[string]string {
	t.Helper()
	rendered, err := render(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// manifest joins what is rendered into one file.
func manifest(rendered map[string]string) string {
	var text strings.Builder
	for _, name := range sortedNames(rendered) {
		text.WriteString("---\n" + strings.Trim(rendered[name], "\n") + "\n")
	}
	return text.String()
}

func sortedNames(rendered map[string]string) []string {
	var names []string
	for name := range rendered {
		if name != notes {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// object is what the tests look at in one of Kubernetes' objects.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data map[string][]byte `json:"data"`
	Spec struct {
		Selector any `json:"selector"`
		Template struct {
			Metadata struct {
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
			Spec pod `json:"spec"`
		} `json:"template"`
		PodSelector selector `json:"podSelector"`
		JobLabel    string   `json:"jobLabel"`
		Ports       []struct {
			TargetPort string `json:"targetPort"`
		} `json:"ports"`
		Ingress []struct {
			Ports []struct {
				Port string `json:"port"`
			} `json:"ports"`
			From []struct {
				PodSelector       *selector `json:"podSelector"`
				NamespaceSelector *selector `json:"namespaceSelector"`
			} `json:"from"`
		} `json:"ingress"`
		Rules []struct {
			Host string `json:"host"`
			HTTP struct {
				Paths []struct {
					Backend struct {
						Service struct {
							Name string `json:"name"`
						} `json:"service"`
					} `json:"backend"`
				} `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
}

type selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type pod struct {
	AutomountServiceAccountToken  *bool          `json:"automountServiceAccountToken"`
	EnableServiceLinks            *bool          `json:"enableServiceLinks"`
	TerminationGracePeriodSeconds int            `json:"terminationGracePeriodSeconds"`
	SecurityContext               map[string]any `json:"securityContext"`
	Containers                    []container    `json:"containers"`
	Volumes                       []struct {
		Secret struct {
			SecretName  string `json:"secretName"`
			DefaultMode int    `json:"defaultMode"`
			Items       []struct {
				Key  string `json:"key"`
				Path string `json:"path"`
			} `json:"items"`
		} `json:"secret"`
	} `json:"volumes"`
}

type container struct {
	Image string   `json:"image"`
	Args  []string `json:"args"`
	Env   []struct {
		Name      string `json:"name"`
		Value     string `json:"value"`
		ValueFrom any    `json:"valueFrom"`
	} `json:"env"`
	EnvFrom []any `json:"envFrom"`
	Ports   []struct {
		Name          string `json:"name"`
		ContainerPort int    `json:"containerPort"`
	} `json:"ports"`
	SecurityContext map[string]any `json:"securityContext"`
	StartupProbe    probe          `json:"startupProbe"`
	LivenessProbe   probe          `json:"livenessProbe"`
	ReadinessProbe  probe          `json:"readinessProbe"`
}

type probe struct {
	HTTPGet struct {
		Path string `json:"path"`
		Port string `json:"port"`
	} `json:"httpGet"`
}

// objects reads what is rendered.
func objects(t *testing.T, rendered map[string]string) []object {
	t.Helper()
	var all []object
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest(rendered)), 4096)
	for {
		var one object
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if one.Kind != "" {
			all = append(all, one)
		}
	}
}

// find returns the object of a kind whose name is that of the release and a suffix; there must be one.
func find(t *testing.T, all []object, kind, suffix string) object {
	t.Helper()
	for _, one := range all {
		if one.Kind == kind && one.Metadata.Name == "latchkey"+suffix {
			return one
		}
	}
	t.Fatalf("there is no %s latchkey%s", kind, suffix)
	return object{}
}
