// The command schemas writes the JSON schemas that the tests check manifests against into this folder: those of the
// kinds in the chart, without descriptions, and so strict that they refuse unknown members. README.md says
// where they come from, and how to regenerate them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kinds are Kubernetes' own, by the name of the file that kubeconform looks for.
var kinds = map[string]string{
	"deployment-apps-v1":            "io.k8s.api.apps.v1.Deployment",
	"ingress-networking-v1":         "io.k8s.api.networking.v1.Ingress",
	"job-batch-v1":                  "io.k8s.api.batch.v1.Job",
	"networkpolicy-networking-v1":   "io.k8s.api.networking.v1.NetworkPolicy",
	"poddisruptionbudget-policy-v1": "io.k8s.api.policy.v1.PodDisruptionBudget",
	"secret-v1":                     "io.k8s.api.core.v1.Secret",
	"service-v1":                    "io.k8s.api.core.v1.Service",
}

const (
	folder      = "schemas"
	definitions = "kubernetes.json" // what the kinds share
	reference   = "#/definitions/"
)

type object = map[string]any

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

// run writes a file for each kind, and one with what they share.
func run(files []string) error {
	if len(files) != 1 {
		return errors.New("name one file: Kubernetes' swagger.json")
	}
	text, err := os.ReadFile(files[0]) //nolint:gosec // it is named on the command line
	if err != nil {
		return err
	}
	var all struct {
		Definitions map[string]object `json:"definitions"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	used := object{}
	var use func(name string) error
	use = func(name string) error {
		if used[name] != nil {
			return nil
		}
		schema := all.Definitions[name]
		if schema == nil {
			return fmt.Errorf("%s has no %s", files[0], name)
		}
		used[name] = strict(schema)
		for _, other := range references(schema) {
			if err := use(other); err != nil {
				return err
			}
		}
		return nil
	}
	for _, file := range slices.Sorted(maps.Keys(kinds)) {
		if err := use(kinds[file]); err != nil {
			return err
		}
		if err := write(file+".json", object{"$ref": definitions + reference + kinds[file]}); err != nil {
			return err
		}
	}
	return write(definitions, object{"definitions": used})
}

// strict returns a schema without descriptions, which refuses members that it does not name.
func strict(schema object) object {
	made := object{}
	for key, value := range schema {
		switch child := value.(type) {
		case object:
			if key == "properties" {
				properties := object{}
				for name, property := range child {
					properties[name] = strict(property.(object)) //nolint:errcheck,forcetypeassert // a schema's members are schemas
				}
				made[key] = properties
			} else {
				made[key] = strict(child)
			}
		case []any:
			list := make([]any, len(child))
			for i, element := range child {
				list[i] = element
				if member, ok := element.(object); ok {
					list[i] = strict(member)
				}
			}
			made[key] = list
		default:
			if key != "description" && key != "default" && !strings.HasPrefix(key, "x-kubernetes-") {
				made[key] = value
			}
		}
	}
	if _, named := schema["properties"]; named {
		made["additionalProperties"] = false
	}
	// Such as a port, by its number or its name.
	if schema["format"] == "int-or-string" {
		return object{"type": []any{"integer", "string"}}
	}
	return made
}

// references lists the definitions that a schema names.
func references(value any) []string {
	var names []string
	switch value := value.(type) {
	case object:
		if name, ok := value["$ref"].(string); ok {
			names = append(names, strings.TrimPrefix(name, reference))
		}
		for _, child := range value {
			names = append(names, references(child)...)
		}
	case []any:
		for _, child := range value {
			names = append(names, references(child)...)
		}
	}
	return names
}

func write(name string, schema object) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), append(text, '\n'), 0o644) //nolint:gosec // nothing secret is in it
}
