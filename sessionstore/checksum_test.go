package sessionstore_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionstore"
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
	sum, err := sessionstore.Checksum([]byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return sum
}

func TestChecksumRefuses(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	checksum(t, nested(199))
	for name, test := range map[string]struct{ data, says string }{
		"empty":            {``, "not valid JSON"},
		"null":             {`null`, "not a JSON object"},
		"a list":           {`[{}]`, "not a JSON object"},
		"a string":         {`"x"`, "not a JSON object"},
		"two objects":      {`{}{}`, "follows"},
		"a comma after":    {`{},`, "follows"},
		"cut off":          {`{"a":`, "not valid JSON"},
		"duplicate":        {`{"a":{"b":1,"b":2}}`, `given twice at "/a/b"`},
		"same by escape":   {`{"a":1,"\u0061":2}`, `given twice at "/a"`},
		"bad UTF-8":        {"{\"a\":\"\xff\"}", "not valid JSON"},
		"lone surrogate":   {`{"a":"\ud800"}`, "not valid JSON"},
		"NUL":              {`{"a":"\u0000"}`, "PostgreSQL cannot store"},
		"NUL in a name":    {`{"\u0000":1}`, "PostgreSQL cannot store"},
		"NaN":              {`{"a":NaN}`, "not valid JSON"},
		"leading zero":     {`{"a":01}`, "not valid JSON"},
		"too deep":         {nested(200), "nested deeper than 200"},
		"too long":         {`{"a":"` + strings.Repeat("x", sessionstore.MaxDataBytes) + `"}`, "longer than 65536 bytes"},
		"number bomb":      {`{"a":[` + strings.Repeat("1e9999,", 10) + `1]}`, "written out in full"},
		"huge number":      {`{"a":1e999999999999999999999}`, "written out in full"},
		"tiny number":      {`{"a":1e-16384}`, "behind the point"},
		"tiny zero":        {`{"a":0e-99999}`, "behind the point"},
		"negative bomb":    {`{"a":[` + strings.Repeat("-1e-9999,", 10) + `1]}`, "written out in full"},
		"digits all along": {`{"a":` + strings.Repeat("9", 40000) + `,"b":` + strings.Repeat("9", 25600) + `}`, "longer than"},
	} {
		_, err := sessionstore.Checksum([]byte(test.data))
		if !errors.Is(err, sessionstore.ErrInvalidArgument) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever Checksum accepts, PostgreSQL stores, returns in bounds, and returns
// with the same checksum.
func TestAcceptedDataIsStored(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, data := range []string{
		`{"a":1e60000}`, `{"a":-1e-16383}`, `{"a":0e60000}`, `{"a":0e-16383}`, `{"a":[1e100,-1E-100,0.00,-0]}`, `{"":{"":""}}`,
		`{"a":` + strings.Repeat(`{"a":`, 190) + `1` + strings.Repeat(`}`, 190) + `}`,
		`{"s":"\u0001\u001f\u007f\u2028\ufffe\uffff\"\\\/\b\f\n\r\t😀"}`,
		`{"big":"` + strings.Repeat("x", 65000) + `"}`,
		`{"digits":` + strings.Repeat("7", 60000) + `}`,
	} {
		session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(data)})
		got, _, err := k.Get(t.Context(), string(pair.AccessToken))
		if err != nil {
			t.Fatalf("%.60s: %v", data, err)
		}
		if sum, err := sessionstore.Checksum(got.Data); err != nil || sum != session.Checksum {
			t.Errorf("%.60s: what comes back has another checksum (%v)", data, err)
		}
		if len(got.Data) > 2*sessionstore.MaxDataBytes {
			t.Errorf("%.60s: %d bytes come back", data, len(got.Data))
		}
	}
}

func FuzzChecksum(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.50,-0e7],"b":{"c":"\u00e9"}}`, `{"a":1,"a":2}`, `[1]`, `{"a":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sum, err := sessionstore.Checksum(data)
		if err != nil {
			if !errors.Is(err, sessionstore.ErrInvalidArgument) {
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
		if len(again) > sessionstore.MaxDataBytes {
			return
		}
		if other, err := sessionstore.Checksum(again); err != nil || other != sum {
			t.Errorf("%q and %q have different checksums (%v)", data, again, err)
		}
	})
}
