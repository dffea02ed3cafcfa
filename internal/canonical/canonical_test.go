package canonical_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
)

func TestChecksumIgnoresSpelling(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{`{"a":1,"b":2}`, ` { "b" : 2 , "a" : 1 } `, "{\n\t\"a\":1,\r\n\"b\":2}"},
		{`{"n":100}`, `{"n":1e2}`, `{"n":100.0}`, `{"n":1E+2}`, `{"n":0.1e3}`, `{"n":1000e-1}`, `{"n":10000000.00e-5}`},
		{`{"n":0}`, `{"n":-0}`, `{"n":0.000}`, `{"n":0e5}`, `{"n":-0.0e-7}`},
		{`{"n":-1.5}`, `{"n":-15e-1}`, `{"n":-1.50}`},
		{`{"s":"é\n/"}`, `{"s":"\u00e9\u000a\/"}`, `{"s":"\u00E9\n/"}`},
		{`{"s":"😀"}`, `{"s":"\ud83d\ude00"}`},
		{`{"a":{"x":[1,{"p":1,"q":2}],"y":null}}`, `{"a":{"y":null,"x":[1.0,{"q":2,"p":1}]}}`},
		{`{}`, `{ }`},
	} {
		want := checksum(t, same[0])
		for _, other := range same[1:] {
			if got := checksum(t, other); got != want {
				t.Errorf("%s and %s have different checksums", same[0], other)
			}
		}
	}
}

func TestChecksumTellsContentApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, data := range []string{
		`{}`, `{"a":null}`, `{"a":false}`, `{"a":""}`, `{"a":"1"}`, `{"a":1}`, `{"a":-1}`, `{"a":10}`, `{"a":0.1}`, `{"a":0}`,
		`{"a":[]}`, `{"a":{}}`, `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[12]}`, `{"a":[[1],2]}`, `{"a":[1,[2]]}`,
		`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, // equal as JavaScript numbers
		`{"a":0.1000000000000000055511151231257827}`, `{"a":"a\",\"b\":\"c"}`, `{"a":"a","b":"c"}`, `{"A":1}`,
		`{"a":1e10}`, `{"a":1e-10}`, `{"a":"1e10"}`,
	} {
		sum := checksum(t, data)
		if other, has := seen[sum]; has {
			t.Errorf("%s and %s have the same checksum", data, other)
		}
		seen[sum] = data
	}
}

func checksum(t *testing.T, data string) string {
	t.Helper()
	form, err := canonical.Form([]byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return canonical.Sum(form)
}

func TestChecksumRefuses(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	checksum(t, nested(199))
	for name, test := range map[string]struct{ data, says string }{
		"empty":             {``, "not valid JSON"},
		"a word":            {`x`, "not valid JSON (byte 0)"},
		"null":              {`null`, "not a JSON object"},
		"a list":            {`[{}]`, "not a JSON object"},
		"a string":          {`"x"`, "not a JSON object"},
		"two objects":       {`{}{}`, "follows"},
		"a comma after":     {`{},`, "follows"},
		"cut off":           {`{"a":`, `not valid JSON at "/a" (byte 5)`},
		"cut off, a name":   {`{"a`, "not valid JSON"},
		"an open list":      {`{"a":[1`, "not valid JSON"},
		"a last comma":      {`{"a":1,}`, "not valid JSON"},
		"in a list":         {`{"a":[1,]}`, "not valid JSON"},
		"no comma":          {`{"a":1"b":2}`, "not valid JSON"},
		"an object beside":  {`{"a":[1{}]}`, "not valid JSON"},
		"a list beside":     {`{"a":[1[]]}`, "not valid JSON"},
		"no colon":          {`{"a"{}}`, "not valid JSON"},
		"a wrong bracket":   {`{"a":[1}}`, "not valid JSON"},
		"closed by a list":  {`{"a":1]`, "not valid JSON"},
		"duplicate":         {`{"a":{"b":1,"b":2}}`, `given twice at "/a/b"`},
		"same by escape":    {`{"a":1,"\u0061":2}`, `given twice at "/a"`},
		"bad UTF-8":         {"{\"a\":\"\xff\"}", "not valid JSON"},
		"lone surrogate":    {`{"a":"\ud800"}`, "not valid JSON"},
		"NUL":               {`{"a":"\u0000"}`, "PostgreSQL cannot store"},
		"NUL in a name":     {`{"\u0000":1}`, "PostgreSQL cannot store"},
		"NaN":               {`{"a":NaN}`, "not valid JSON"},
		"leading zero":      {`{"a":01}`, "not valid JSON"},
		"too deep":          {nested(200), "nested deeper than 200"},
		"too long":          {`{"a":"` + strings.Repeat("x", canonical.MaxBytes+1-len(`{"a":""}`)) + `"}`, "longer than 65536 bytes"},
		"number bomb":       {`{"a":[` + strings.Repeat("1e9999,", 10) + `1]}`, "written out in full"},
		"huge number":       {`{"a":1e999999999999999999999}`, "more than 65536 bytes when written out in full"},
		"huge, negative":    {`{"a":1e-999999999999999999999}`, "written out in full"},
		"huge, with a part": {`{"a":1.5e-999999999999999999999}`, "written out in full"},
		"huge fraction":     {`{"a":1.5e65536}`, "written out in full"},
		"tiny number":       {`{"a":1e-16384}`, "more than 16383 digits behind the point"},
		"tiny zero":         {`{"a":0e-99999}`, "behind the point"},
		"negative bomb":     {`{"a":[` + strings.Repeat("-1e-9999,", 10) + `1]}`, "written out in full"},
		"digits all along":  {`{"a":` + strings.Repeat("9", 40000) + `,"b":` + strings.Repeat("9", 25600) + `}`, "longer than"},
	} {
		_, err := canonical.Form([]byte(test.data))
		if _, ok := errors.AsType[canonical.Error](err); !ok || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Data just within the limits is stored.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"as long as may be":     `{"a":"` + strings.Repeat("x", canonical.MaxBytes-len(`{"a":""}`)) + `"}`,
		"as many digits":        `{"a":1e65535}`,
		"one of them behind":    `{"a":1.5e65535}`,
		"as small as may be":    `{"a":1e-16383}`,
		"as small, with digits": `{"a":1.25e-16381}`,
	} {
		if _, err := canonical.Form([]byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzChecksum(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.50,-0e7],"b":{"c":"\u00e9"}}`, `{"a":1,"a":2}`, `[1]`, `{"a":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		form, err := canonical.Form(data)
		if err != nil {
			if _, ok := errors.AsType[canonical.Error](err); !ok {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%q has a checksum and is no object: %v", data, err)
		}
		again, err := json.MarshalIndent(m, " ", "\t") // sorts the outer keys and changes the spacing
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > canonical.MaxBytes {
			return
		}
		if other, err := canonical.Form(again); err != nil || string(other) != string(form) {
			t.Errorf("%q and %q have different checksums (%v)", data, again, err)
		}
	})
}
