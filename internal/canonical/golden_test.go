package canonical_test

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

// The canonical form is part of what is stored: sessions keep the checksums that an
// earlier release made, and clients the ETags. Each is spelled out here as first
// released.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for data, form := range map[string]string{
		`{}`:                                                `{}`,
		` { "b" : [ ] , "a" : { } } `:                       `{"a":{},"b":[]}`,
		`{"a":null,"b":true,"c":false,"d":""}`:              `{"a":null,"b":true,"c":false,"d":""}`,
		`{"b":1,"a":2,"C":3,"":4,"é":5,"aa":6}`:             `{"":4,"C":3,"a":2,"aa":6,"b":1,"é":5}`,
		`{"a":[1,[2]]}`:                                     `{"a":[1,[2]]}`,
		`{"a":[[1,2]]}`:                                     `{"a":[[1,2]]}`,
		`{"a":[[1],2]}`:                                     `{"a":[[1],2]}`,
		`{"a":[[1],[2]]}`:                                   `{"a":[[1],[2]]}`,
		`{"a":[1,2],"b":[[],[[]]]}`:                         `{"a":[1,2],"b":[[],[[]]]}`,
		`{"a":[{"c":1,"b":2},{"d":[]}]}`:                    `{"a":[{"b":2,"c":1},{"d":[]}]}`,
		`{"n":[0,-0,0.0,1,-1,10,100,1e2,120,-120]}`:         `{"n":[0,0,0,1,-1,1e1,1e2,1e2,12e1,-12e1]}`,
		`{"n":[0.1,1.5,-1.50,0.015,1e-2,123.456,1E+1]}`:     `{"n":[1e-1,15e-1,-15e-1,15e-3,1e-2,123456e-3,1e1]}`,
		`{"n":12345678901234567890}`:                        `{"n":1234567890123456789e1}`,
		`{"n":[1e10,-2.5e+42,1e-23]}`:                       `{"n":[1e10,-25e41,1e-23]}`,
		`{"s":"\u00e9\/\u0041\ud83d\ude00"}`:                `{"s":"é/A😀"}`,
		`{"s":"\"\\\b\f\n\r\t\u0001\u001f\u007f\u2028<>&"}`: `{"s":"\"\\\b\f\n\r\t\u0001\u001f` + "\u007f\u2028" + `<>&"}`,
		`{"\u0061\n":1}`:                                    `{"a\n":1}`,
		// In the order of the names, not of how they are written.
		`{"A":1,"\"":2,"!":3}`:      `{"!":3,"\"":2,"A":1}`,
		`{"a!":1,"a":2,"a\n":3}`:    `{"a":2,"a\n":3,"a!":1}`,
		`{"b":{"d":1,"c":2},"a":1}`: `{"a":1,"b":{"c":2,"d":1}}`,
	} {
		sum := sha256.Sum256([]byte(form))
		if got, want := checksum(t, data), base64.RawURLEncoding.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: the canonical form is not %s", data, form)
		}
	}
	// And one that depends on nothing above.
	if got, want := checksum(t, `{"b":[1.50,{"a":"\u00e9"}],"a":null}`), "HF7hPuEXf0Ph6Axo9e6QDrtAIbnsyaeVnV_XsvQAK7w"; got != want {
		t.Errorf("the checksum is %s, want %s", got, want)
	}
}
