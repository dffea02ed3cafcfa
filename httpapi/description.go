package httpapi

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

const descriptionPath = "/openapi.yaml"

//go:embed openapi.yaml
var description []byte

// The listeners' documents are made on the first request for them: that takes longer than everything else at startup.
var (
	publicDescription   = sync.OnceValues(func() (cacheable, error) { return newDescription("public") })
	internalDescription = sync.OnceValues(func() (cacheable, error) { return newDescription("internal") })
)

func serveDescription(description func() (cacheable, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := description()
		if err != nil {
			return err
		}
		return c.serve(w, r)
	}
}

// newDescription returns the half of openapi.yaml that one listener serves:
// the operations with its tag, and the components that they use.
func newDescription(tag string) (cacheable, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(description, &document); err != nil {
		return cacheable{}, fmt.Errorf("httpapi: openapi.yaml: %w", err)
	}
	root := document.Content[0]
	document.HeadComment, root.HeadComment, root.Content[0].HeadComment = "", "", "" // it describes the whole file
	filterTags(root, tag)
	filterPaths(root, tag)
	filterComponents(root)
	body, err := yaml.Marshal(&document)
	if err != nil {
		return cacheable{}, fmt.Errorf("httpapi: openapi.yaml: %w", err)
	}
	return newCacheable("application/yaml", body), nil
}

func filterTags(root *yaml.Node, tag string) {
	tags := child(root, "tags")
	tags.Content = slices.DeleteFunc(tags.Content, func(t *yaml.Node) bool { return child(t, "name").Value != tag })
}

func filterPaths(root *yaml.Node, tag string) {
	keepMembers(child(root, "paths"), func(_ string, path *yaml.Node) bool {
		keepMembers(path, func(_ string, operation *yaml.Node) bool {
			tags := child(operation, "tags")
			tags.Content = slices.DeleteFunc(tags.Content, func(t *yaml.Node) bool { return t.Value != tag })
			return len(tags.Content) > 0
		})
		return len(path.Content) > 0
	})
}

// filterComponents keeps what the paths refer to, directly or through other
// components.
func filterComponents(root *yaml.Node) {
	components := child(root, "components")
	used := make(map[string]bool)
	for todo := references(child(root, "paths")); len(todo) > 0; {
		next := make(map[string]bool)
		for ref := range todo {
			if !used[ref] {
				used[ref] = true
				kind, name, _ := strings.Cut(ref, "/")
				maps.Copy(next, references(child(child(components, kind), name)))
			}
		}
		todo = next
	}
	keepMembers(components, func(kind string, members *yaml.Node) bool {
		keepMembers(members, func(name string, _ *yaml.Node) bool { return used[kind+"/"+name] })
		return len(members.Content) > 0
	})
}

// references lists the components that a part of the document names, as
// "schemas/Session". Security schemes are named without a $ref.
func references(n *yaml.Node) map[string]bool {
	refs := make(map[string]bool)
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			switch n.Content[i-1].Value {
			case "$ref":
				refs[strings.TrimPrefix(c.Value, "#/components/")] = true
			case "security":
				for _, requirement := range c.Content {
					for j := 0; j < len(requirement.Content); j += 2 {
						refs["securitySchemes/"+requirement.Content[j].Value] = true
					}
				}
			}
		}
		maps.Copy(refs, references(c))
	}
	return refs
}

// child returns a member of a mapping, or an empty node.
func child(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// keepMembers removes all other members of a mapping.
func keepMembers(mapping *yaml.Node, wanted func(name string, value *yaml.Node) bool) {
	kept := mapping.Content[:0]
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if wanted(mapping.Content[i].Value, mapping.Content[i+1]) {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = kept
}

// index is the document at a listener's root: the service's name, and where to read more.
type index struct {
	Service       string `json:"service"`
	Listener      string `json:"listener"`
	Description   string `json:"description"`
	Documentation string `json:"documentation"`
}

func newIndex(listener string) (cacheable, error) {
	body, err := json.Marshal(index{
		Service: "Latchkey", Listener: listener, Description: descriptionPath,
		Documentation: "https://github.com/latchkey-sessions/latchkey",
	})
	return newCacheable(jsonType, body), err
}
