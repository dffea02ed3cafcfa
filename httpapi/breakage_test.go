package httpapi_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// breakage is one way in which a request violates openapi.yaml.
type breakage struct {
	name string
	// served says that the request may still succeed.
	served bool
	apply  func(*call)
}

// breakages lists them for an operation, given one valid call of it.
func breakages(op *openapi3.Operation, valid call) []breakage {
	list := slices.Concat(brokenMethods(op, valid), brokenPaths(op), brokenQueries(op), brokenHeaders(op))
	if op.RequestBody != nil {
		list = append(list, brokenBodies...)
		schema := op.RequestBody.Value.Content[valid.mediaType].Schema.Value
		if valid.form != nil {
			list = append(list, brokenForms(schema)...)
		} else {
			list = append(list, brokenJSON(schema)...)
		}
		if op.OperationID == "putSessionClaims" {
			list = append(list, brokenClaims("", func(v any) func(*call) { return func(c *call) { c.body = v } })...)
		}
	}
	if op.Security != nil && len(*op.Security) > 0 {
		list = append(list, brokenCredentials...)
	}
	return list
}

// The description's words for what it cannot express formally: see its beginning.
func hasAnyMethod(op *openapi3.Operation) bool { return op.Extensions["x-methods"] == "any" }

func ignoresQuery(op *openapi3.Operation) bool { return op.Extensions["x-query"] == "ignored" }

func brokenMethods(op *openapi3.Operation, valid call) []breakage {
	var list []breakage
	if hasAnyMethod(op) {
		return nil
	}
	for _, method := range []string{"HEAD", "OPTIONS", "TRACE", "PATCH", "PUT", "POST", "get", "PROPFIND", "X"} {
		if method != valid.method {
			list = append(list, breakage{"method " + method, true, func(c *call) { c.method = method }})
		}
	}
	return list
}

var brokenCredentials = []breakage{
	{"no credential", false, func(c *call) { c.credential = "" }},
	{"another credential", false, func(c *call) { c.credential = "Bearer x" }},
	{"half a credential", false, func(c *call) { c.credential = c.credential[:len(c.credential)/2] }},
	{"another scheme", false, func(c *call) { c.credential = "Digest " + strings.TrimPrefix(c.credential, "Bearer ") }},
	{"Basic", false, func(c *call) { c.credential = "Basic eDp5" }},
	{"two in one", false, func(c *call) { c.credential += ", " + c.credential }},
	{"a large credential", false, func(c *call) { c.credential = "Bearer " + strings.Repeat("x.", 50_000) }},
	{"bytes for a credential", false, func(c *call) { c.credential = "Bearer \xff\xfe" }},
}

// oddTexts are not valid for any parameter.
var oddTexts = map[string]string{
	"a bad escape": "%zz", "half an escape": "%", "bytes": "%ff%fe", "NUL": "%00", "an overlong slash": "%c0%af", "a surrogate": "%ed%a0%80",
}

func brokenPaths(op *openapi3.Operation) []breakage {
	var list []breakage
	for _, ref := range op.Parameters {
		if ref.Value.In != "path" {
			continue
		}
		name := ref.Value.Name
		for what, value := range map[string]string{
			"unknown": "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91", "nil": "00000000-0000-0000-0000-000000000000", "no id": "x",
			"braces": "%7B01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91%7D", "urn": "urn:uuid:01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91",
			"SQL": "'%20OR%201=1--", "up": "..%2F..%2Flivez", "a slash": "a%2Fb", "bytes": "%ff", "NUL": "%00", "long": strings.Repeat("a", 20_000),
		} {
			list = append(list, breakage{"path " + name + " " + what, false, func(c *call) { c.path[name] = value }})
		}
		list = append(list, breakage{"path " + name + " in capitals", true, func(c *call) { c.path[name] = strings.ToUpper(c.path[name]) }})
	}
	sortBreakages(list)
	return list
}

func brokenQueries(op *openapi3.Operation) []breakage {
	add := func(name, value string) func(*call) {
		return func(c *call) { c.query = append(c.query, pair{name, value}) }
	}
	ignored := ignoresQuery(op)
	list := []breakage{
		{"unknown parameter", ignored, add("colour", "red")},
		{"token in the query", hasAnyMethod(op), add("access_token", "x")},
		{"query without a name", ignored, add("", "x")},
		{"query with a semicolon", ignored, add("a;b", "x")},
		{"large query", ignored, add("x", strings.Repeat("y", 100_000))},
	}
	for what, text := range oddTexts {
		list = append(list, breakage{"query: " + what, ignored, add(text, text)})
	}
	for _, ref := range op.Parameters {
		p := ref.Value
		if p.In != "query" {
			continue
		}
		set := func(value string) func(*call) {
			return func(c *call) { c.query = append(without(c.query, p.Name), pair{p.Name, value}) }
		}
		if p.Required {
			list = append(list, breakage{"without " + p.Name, false, func(c *call) { c.query = without(c.query, p.Name) }})
		}
		list = append(list,
			breakage{p.Name + " is empty", false, set("")},
			breakage{p.Name + " twice", false, func(c *call) { set("1")(c); add(p.Name, "1")(c) }},
			breakage{p.Name + " is long", p.Name == "subject", set(strings.Repeat("9", 5000))})
		for what, text := range oddTexts {
			list = append(list, breakage{p.Name + ": " + what, false, set(text)})
		}
		if schema := p.Schema.Value; schema.Type.Is("integer") {
			for _, text := range []string{"x", "1.5", "0x1", "1e1", "-1", "+1%20", "99999999999999999999", fmt.Sprint(*schema.Max + 1), fmt.Sprint(*schema.Min - 1)} {
				list = append(list, breakage{p.Name + " is " + text, false, set(text)})
			}
		} else if len(schema.Enum) > 0 || p.Name == "cursor" || p.Name == "since" {
			list = append(list, breakage{p.Name + " is another", p.Name == "since", set("another")})
		}
	}
	sortBreakages(list)
	return list
}

func brokenHeaders(op *openapi3.Operation) []breakage {
	odd := func(name, value string) breakage {
		return breakage{name + ": " + value, true, func(c *call) { c.header.Set(name, value) }}
	}
	list := []breakage{
		odd("Accept", "text/html;q=x"), odd("Accept", "*/*;q=0, ,;"), odd("Accept-Encoding", "gzip, br, zzz"),
		odd("X-Request-Id", strings.Repeat("x", 9000)), odd("X-Request-Id", "\xff<script>"), odd("If-None-Match", `W/", "`),
		odd("X-Forwarded-For", "1.2.3.4, ,\xff"), odd("Range", "bytes=0-0,5-"), odd("Expect", "nothing"), odd("User-Agent", "\xff"+strings.Repeat("u", 9000)),
		odd("Content-Type", "a/b; c"), odd("Transfer-Encoding", "chunked"), odd("X-HTTP-Method-Override", "DELETE"), odd("Host", "evil.example"),
	}
	for _, ref := range op.Parameters {
		p := ref.Value
		if p.In != "header" {
			continue
		}
		if p.Required {
			list = append(list, breakage{"without " + p.Name, false, func(c *call) { c.header.Del(p.Name) }})
		}
		for _, text := range []string{"", "*", `""`, `W/"x"`, `"a", "b"`, "x", `"` + strings.Repeat("x", 9000) + `"`, "\"\xff\""} {
			list = append(list, breakage{p.Name + ": " + text, !p.Required, func(c *call) { c.header.Set(p.Name, text) }})
		}
		list = append(list, breakage{p.Name + " twice", !p.Required, func(c *call) { c.header.Add(p.Name, `"x"`); c.header.Add(p.Name, `"y"`) }})
	}
	return list
}

func sends(text string) func(*call) { return func(c *call) { c.sent = &text } }

func half(c *call) { text := c.text(); sends(text[:len(text)/2])(c) }

// brokenBodies are not valid for any route.
var brokenBodies = []breakage{
	{"no body", false, sends("")},
	{"bytes", false, sends("\xff\xfe\x00\x01")},
	{"a large body", false, sends(strings.Repeat("a", 1<<20))},
	{"no Content-Type", false, func(c *call) { c.mediaType = "" }},
	{"another type", false, func(c *call) { c.mediaType = "text/plain" }},
	{"multipart", false, func(c *call) { c.mediaType = "multipart/form-data; boundary=x" }},
	{"XML", false, func(c *call) {
		c.mediaType = "application/xml"
		sends("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>")(c)
	}},
	{"a malformed type", false, func(c *call) { c.mediaType = "application/;;" }},
	{"another charset", false, func(c *call) { c.mediaType += "; charset=utf-16" }},
	{"a list of types", false, func(c *call) { c.mediaType += ", " + c.mediaType }},
	{"compressed", false, func(c *call) { c.header.Set("Content-Encoding", "gzip") }},
}

func brokenForms(schema *openapi3.Schema) []breakage {
	list := []breakage{
		{"half a body", true, half}, // half a token is a token, though not a valid one
		{"an unknown field", true, func(c *call) { c.form = append(c.form, pair{"colour", "red"}, pair{"colour", "blue"}) }},
		{"a bad escape", false, func(c *call) { c.form = append(c.form, pair{"a", "%zz"}) }},
		{"a semicolon", false, func(c *call) { c.form = append(c.form, pair{"a;b", "c"}) }},
		{"JSON", false, func(c *call) { c.mediaType = "application/json"; sends(`{"token":"x"}`)(c) }},
		{"many fields", false, func(c *call) { sends(strings.Repeat("a=b&", 50_000))(c) }},
	}
	for _, name := range sortedKeys(schema.Properties) {
		set := func(value string) func(*call) {
			return func(c *call) { c.form = append(without(c.form, name), pair{name, value}) }
		}
		needed := required(schema, name)
		if needed {
			list = append(list,
				breakage{"without " + name, false, func(c *call) { c.form = without(c.form, name) }},
				breakage{name + " is empty", false, set("")})
		}
		list = append(list,
			breakage{name + " twice", false, func(c *call) { set("x")(c); c.form = append(c.form, pair{name, "x"}) }},
			breakage{name + " is long", true, set(strings.Repeat("x", 10_000))})
		for _, text := range []string{"%ff%fe", "%00", "..", "a.b.c", "%0d%0aSet-Cookie:x", "'%20OR%201=1--"} {
			list = append(list, breakage{name + " is " + text, true, set(text)})
		}
	}
	return list
}

func brokenJSON(schema *openapi3.Schema) []breakage {
	list := []breakage{{"half a body", false, half}}
	for what, text := range map[string]string{
		"null": "null", "a list": "[]", "a string": `"x"`, "a number": "1", "two": "{} {}", "a comment": "{/**/}", "a trailing comma": `{"data":{},}`,
		"single quotes": "{'data':{}}", "NaN": `{"data":NaN}`, "deep": strings.Repeat(`{"data":`, 11_000), "deep lists": `{"data":` + strings.Repeat("[", 60_000),
		"a bad escape": `{"data":{"\x":1}}`, "a BOM": "\xef\xbb\xbf{}", "UTF-16": "\xff\xfe{\x00}\x00", "a lone surrogate": `{"data":{"a":"\ud800"}}`,
	} {
		list = append(list, breakage{"the body is " + what, false, sends(text)})
	}
	if len(schema.Properties) == 0 { // data
		list = append(list, brokenData("", func(v any) func(*call) { return func(c *call) { c.body = v } })...)
	} else {
		list = append(list, brokenMembers(schema, "", func(c *call, change func(object) object) {
			o, _ := c.body.(object)
			c.body = change(o)
		})...)
	}
	sortBreakages(list)
	return list
}

// brokenMembers breaks the members of an object; within applies a change to it.
func brokenMembers(schema *openapi3.Schema, path string, within func(*call, func(object) object)) []breakage {
	list := []breakage{{path + " unknown member", false, func(c *call) {
		within(c, func(o object) object { return append(o, member{"colour", "red"}) })
	}}}
	for _, name := range sortedKeys(schema.Properties) {
		property, at := schema.Properties[name].Value, path+"/"+name
		set := func(v any) func(*call) {
			return func(c *call) {
				within(c, func(o object) object { return append(remove(o, name), member{name, v}) })
			}
		}
		if required(schema, name) {
			list = append(list, breakage{"without " + at, false, func(c *call) {
				within(c, func(o object) object { return remove(o, name) })
			}})
		}
		list = append(list,
			breakage{at + " is null", property.Nullable, set(nil)},
			breakage{at + " is a list", property.Type.Is("array"), set([]string{"x"})},
			breakage{at + " twice", false, func(c *call) {
				within(c, func(o object) object {
					return append(remove(o, name), member{name, rawText("{}")}, member{name, rawText("{}")})
				})
			}},
			breakage{at + " in capitals", false, func(c *call) {
				within(c, func(o object) object { return append(o, member{strings.ToUpper(name), rawText(`""`)}) })
			}})
		for kind, v := range map[string]any{"string": "x", "integer": 7, "boolean": true, "object": object{}} {
			if !property.Type.Is(kind) {
				list = append(list, breakage{at + " is a " + kind, false, set(v)})
			}
		}
		switch {
		case property.Type == nil: // one of a few forms, none of which is tried here
		case property.Type.Is("string"):
			list = append(list,
				breakage{at + " is long", property.Nullable, set(strings.Repeat("x", 5000))},
				breakage{at + " is empty", property.VisitJSON("") == nil, set("")},
				breakage{at + " is not UTF-8", property.Nullable, set(rawText("\"\xff\""))},
				breakage{at + " has a lone surrogate", property.Nullable, set(rawText(`"\udc00"`))},
				breakage{at + " has NUL", true, set("a\x00b")},
				breakage{at + " has line breaks", true, set("a\r\nb")})
		case property.Type.Is("integer"):
			for _, text := range []string{"0", "-1", "1.5", "1e400", "99999999999999999999", "9223372036854775807", "01", `"60"`} {
				list = append(list, breakage{at + " is " + text, text == "0" && *property.Min == 0, set(rawText(text))})
			}
		case property.Type.Is("array"):
			list = append(list,
				breakage{at + " is an empty list", property.MinItems == 0, set([]string{})},
				breakage{at + " has an object", false, set(rawText("[{}]"))},
				breakage{at + " has an empty string", false, set([]string{""})},
				breakage{at + " has a long string", false, set([]string{strings.Repeat("x", 5000)})})
			if property.MaxItems != nil {
				list = append(list, breakage{at + " has too many", false, set(slices.Repeat([]string{"x"}, int(*property.MaxItems)+1))})
			}
		case property == schema: // an object in one of its kind: that one is broken already
		case len(property.Properties) > 0:
			list = append(list, brokenMembers(property, at, func(c *call, change func(object) object) {
				within(c, func(o object) object {
					inner := object{}
					for _, m := range o {
						if m.name == name {
							inner, _ = m.value.(object)
						}
					}
					if len(inner) == 0 { // the breakage must be the only fault
						for _, needed := range property.Required {
							inner = append(inner, member{needed, "x"})
						}
					}
					return append(remove(o, name), member{name, change(inner)})
				})
			})...)
		default:
			list = append(list, brokenData(at, set)...)
		}
		if name == "claims" {
			list = append(list, brokenClaims(at, set)...)
		}
	}
	return list
}

// brokenClaims breaks a session's own claims, which the description specifies only in words.
func brokenClaims(at string, set func(any) func(*call)) []breakage {
	return []breakage{
		{at + " has a name of ours", false, set(object{{"sub", "root"}})},
		{at + " has a name of ours in other letters", false, set(object{{"Client-ID", "root"}})},
		{at + " has a scope that is none", false, set(object{{"scope", []string{"orders"}}})},
		{at + " is longer than a token may be", false, set(object{{"a", strings.Repeat("x", 4096)}})},
	}
}

// brokenData is about session data, which may be any object that can be stored.
func brokenData(at string, set func(any) func(*call)) []breakage {
	return []breakage{
		{at + " has NUL", true, set(object{{"a\x00b", "\x00"}})},
		{at + " has a huge number", true, set(rawText(`{"a":1e999999}`))},
		{at + " has a tiny number", true, set(rawText(`{"a":1e-99999}`))},
		{at + " has many digits", true, set(rawText(`{"a":` + strings.Repeat("9", 50_000) + `}`))},
		{at + " is deep", true, set(rawText(strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)))},
		{at + " has many members", true, set(rawText(`{"a":[` + strings.Repeat("0,", 30_000) + `0]}`))},
		{at + " is too large", false, set(object{{"a", strings.Repeat("x", 64<<10)}})},
		{at + " has a member twice", false, set(object{{"a", 1}, {"a", 1}})},
		{at + " has one twice inside", false, set(object{{"a", object{{"b", 1}, {"b", 1}}}})},
		{at + " has an empty name", true, set(object{{"", ""}})},
		{at + " has a prototype", true, set(object{{"__proto__", object{{"x", 1}}}})},
	}
}

func without(pairs []pair, name string) []pair {
	return slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool { return p.name == name })
}

func remove(o object, name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// sortBreakages gives what was made from maps its order.
func sortBreakages(list []breakage) {
	slices.SortFunc(list, func(a, b breakage) int { return strings.Compare(a.name, b.name) })
}

// clone keeps a breakage from changing what it was made from.
func (c call) clone() call {
	c.path, c.header = maps.Clone(c.path), c.header.Clone()
	c.query, c.form = slices.Clone(c.query), slices.Clone(c.form)
	return c
}
