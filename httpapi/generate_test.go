package httpapi_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// The parts below make requests from openapi.yaml. generated_test.go sends them.

// call is a request in parts, so that one of them can be broken.
type call struct {
	method     string
	template   string            // the path as the document has it
	path       map[string]string // its parameters, escaped
	query      []pair
	header     http.Header
	mediaType  string // of the body; empty without one
	form       []pair
	body       any     // of JSON: object, text, rawText, …
	sent       *string // the body to the byte, instead of form and body
	credential string
}

// pair is a form field or a query parameter, both escaped.
type pair struct{ name, value string }

// object is a JSON object, which may have a member twice.
type object []member

type member struct {
	name  string
	value any
}

// rawText is JSON that is written unchanged, whether valid or not.
type rawText string

func jsonText(v any) string {
	switch v := v.(type) {
	case object:
		parts := make([]string, len(v))
		for i, m := range v {
			parts[i] = jsonText(m.name) + ":" + jsonText(m.value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case rawText:
		return string(v)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings, numbers, truth values and nothing else
		}
		return string(text)
	}
}

func (c call) target() string {
	path := c.template
	for name, value := range c.path {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if len(c.query) > 0 {
		path += "?" + encoded(c.query)
	}
	return path
}

func encoded(pairs []pair) string {
	parts := make([]string, len(pairs))
	for i, p := range pairs {
		parts[i] = p.name + "=" + p.value
	}
	return strings.Join(parts, "&")
}

func (c call) text() string {
	switch {
	case c.sent != nil:
		return *c.sent
	case c.form != nil:
		return encoded(c.form)
	case c.body != nil:
		return jsonText(c.body)
	}
	return ""
}

// values knows what the document cannot express: which token is valid, which session exists, and what belongs together.
// It returns nil for what may be anything.
type values func(name string) any

// absent is the value of a member to leave out.
type absent struct{}

// generator makes values of a schema. The same seed makes the same values.
type generator struct {
	rand  *rand.Rand
	known values
}

func (g generator) call(method, template string, op *openapi3.Operation) call {
	c := call{method: method, template: template, path: map[string]string{}, header: http.Header{}}
	for _, ref := range op.Parameters {
		p := ref.Value
		if _, out := g.known(p.Name).(absent); out || !p.Required && g.rand.IntN(2) == 0 {
			continue
		}
		value := g.text(p.Name, p.Schema.Value)
		switch p.In {
		case "path":
			c.path[p.Name] = url.PathEscape(value)
		case "query":
			c.query = append(c.query, pair{p.Name, url.QueryEscape(value)})
		case "header":
			c.header.Set(p.Name, value)
		}
	}
	if op.RequestBody == nil {
		return c
	}
	for mediaType, content := range op.RequestBody.Value.Content {
		c.mediaType = mediaType
		body := g.object(content.Schema.Value)
		if mediaType == "application/json" {
			c.body = body
			continue
		}
		c.form = []pair{}
		for _, m := range body {
			text, _ := m.value.(string)
			c.form = append(c.form, pair{m.name, url.QueryEscape(text)})
		}
	}
	return c
}

func (g generator) text(name string, schema *openapi3.Schema) string {
	switch v := g.value(name, schema).(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	panic("no parameter is of another type: " + name)
}

func (g generator) object(schema *openapi3.Schema) object {
	if len(schema.Properties) == 0 {
		return g.anything(0)
	}
	if schema.MaxProps != nil && *schema.MaxProps == 1 { // one of several
		name := sortedKeys(schema.Properties)[g.rand.IntN(len(schema.Properties))]
		return object{{name, g.value(name, schema.Properties[name].Value)}}
	}
	o := object{}
	for _, name := range sortedKeys(schema.Properties) {
		if _, out := g.known(name).(absent); !out && (required(schema, name) || g.rand.IntN(2) == 0) {
			o = append(o, member{name, g.value(name, schema.Properties[name].Value)})
		}
	}
	return o
}

func required(schema *openapi3.Schema, name string) bool {
	return slices.Contains(schema.Required, name)
}

func (g generator) value(name string, schema *openapi3.Schema) any {
	if v := g.known(name); v != nil {
		return v
	}
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[g.rand.IntN(len(schema.Enum))]
	case schema.Type.Is("object"):
		return g.object(schema)
	case schema.Type.Is("integer"):
		low, high := int64(0), int64(1<<40)
		if schema.Min != nil {
			low = int64(*schema.Min)
		}
		if schema.Max != nil {
			high = int64(*schema.Max)
		}
		return low + g.rand.Int64N(high-low+1)
	case schema.Type.Is("string"):
		most := 40
		if schema.MaxLength != nil {
			most = min(most, int(*schema.MaxLength))
		}
		return g.words(int(schema.MinLength), most)
	}
	panic("no request has a member of another type: " + name)
}

// letters are from all over: some have one byte, some four, some have a meaning in some syntax.
var letters = []rune("abcXYZ019 -_.'\"\\/<>&%+;=éßЖ中😀\u202e\u00a0\ufeff")

func (g generator) words(least, most int) string {
	n := least
	if most > least {
		n += g.rand.IntN(most - least + 1)
	}
	var b strings.Builder
	for range n {
		b.WriteRune(letters[g.rand.IntN(len(letters))])
	}
	return b.String()
}

// anything is an object that session data may be.
func (g generator) anything(depth int) object {
	o := object{}
	for i := range g.rand.IntN(5) {
		var v any
		switch kind := g.rand.IntN(7); {
		case kind == 0:
			v = nil
		case kind == 1:
			v = g.rand.IntN(2) == 0
		case kind == 2:
			v = rawText([]string{"0", "-0", "1e3", "1.50", "9007199254740993", "-1.5E-7"}[g.rand.IntN(6)])
		case kind == 3 && depth < 4:
			v = g.anything(depth + 1)
		case kind == 4 && depth < 4:
			v = []string{g.words(0, 10), g.words(0, 10)}
		default:
			v = g.words(0, 20)
		}
		o = append(o, member{strconv.Itoa(i) + g.words(0, 8), v})
	}
	return o
}
