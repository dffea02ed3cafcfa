package tokens

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxCustomBytes is the most bytes that a session's own claims may take, in the
// form that [CustomClaims] returns.
const MaxCustomBytes = 4 << 10

// maxCustomDepth is far below the limit of any JWT parser.
const maxCustomDepth = 32

var errCustomTooLong = customError("", "longer than %d bytes", MaxCustomBytes)

// CustomClaims checks claims for a session in addition to ours, a JSON object, and
// returns the canonical form that they take in tokens: members in order, without
// spaces, numbers as they were written. It is empty for no claims. Every error is a
// [CustomError].
//
// No parser can mistake a claim for one of ours: a name is refused that equals one of
// [ReservedClaims] apart from letter case, hyphens and underscores. So are a name that passes
// for scope, which would grant more than the token response and a refresh know about;
// __proto__, whose members a script that copies claims may take for claims; and a duplicate
// member. Any other names that differ in case are different claims (RFC 7519 §4). A number
// must be within the range of 64 bits of floating point: many parsers refuse a whole token
// for one that is not.
func CustomClaims(text []byte) (string, error) {
	// Spaces and escapes do not count, but an unbounded body of them is not read.
	if len(text) > 16*MaxCustomBytes {
		return "", errCustomTooLong
	}
	r, _ := customReaders.Get().(*customReader)
	defer customReaders.Put(r)
	return r.read(text)
}

// customReader checks the claims of [CustomClaims] and writes their canonical form, all in one
// pass.
type customReader struct {
	in      bytes.Buffer
	dec     jsontext.Decoder
	form    []byte
	members []customMember // of the open objects, the innermost one's last
	spare   []byte         // scratch space for reordered members and unescaped strings
}

// customMember is where a member is in the form: its name, with quotation marks, and the
// whole of it.
type customMember struct{ start, nameEnd, end int }

var customReaders = sync.Pool{New: func() any { return new(customReader) }}

func (r *customReader) read(text []byte) (string, error) {
	r.in, r.form, r.members = *bytes.NewBuffer(text), r.form[:0], r.members[:0]
	r.dec.Reset(&r.in, jsontext.AllowDuplicateNames(true)) // members that arrive in order reveal them
	defer func() { r.in = bytes.Buffer{} }()
	isObject := r.dec.PeekKind() == '{'
	if err := r.value(1); err != nil {
		return "", err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return "", customError("", "not valid JSON: something follows it")
	}
	switch {
	case !isObject:
		return "", customError("", "not a JSON object")
	case len(r.form) > MaxCustomBytes:
		return "", errCustomTooLong
	case len(r.form) == len("{}"):
		return "", nil
	}
	return string(r.form), nil
}

// value appends the decoder's next value, whose members are at the given depth.
func (r *customReader) value(depth int) error {
	switch kind := r.dec.PeekKind(); {
	case (kind == '{' || kind == '[') && depth > maxCustomDepth:
		return customError("", "nested deeper than %d levels", maxCustomDepth)
	case kind == '{':
		return r.object(depth)
	case kind == '[':
		return r.array(depth)
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return customSyntaxError(err)
	}
	switch raw.Kind() {
	case '"':
		_, err := r.text(raw)
		return err
	case '0':
		if _, err := strconv.ParseFloat(string(raw), 64); err != nil {
			return customError(r.dec.StackPointer(), "a number outside the range of 64-bit floating point, which is up to 1.7e308")
		}
	}
	r.form = append(r.form, raw...)
	return nil
}

func (r *customReader) array(depth int) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return customSyntaxError(err)
	}
	r.form = append(r.form, '[')
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		if i > 0 {
			r.form = append(r.form, ',')
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
	return r.end(']')
}

func (r *customReader) object(depth int) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return customSyntaxError(err)
	}
	r.form = append(r.form, '{')
	first, inOrder := len(r.members), true
	for r.dec.PeekKind() != '}' {
		if len(r.members) > first {
			r.form = append(r.form, ',')
		}
		m, err := r.member(depth)
		if err != nil {
			return err
		}
		if n := len(r.members); n > first && inOrder {
			inOrder = r.compare(r.members[n-1], m) < 0
		}
		r.members = append(r.members, m)
	}
	if err := r.end('}'); err != nil || inOrder {
		r.members = r.members[:first]
		return err
	}
	return r.reorder(first)
}

// end reads the end of an array or an object.
func (r *customReader) end(with byte) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return customSyntaxError(err)
	}
	r.form = append(r.form, with)
	return nil
}

func (r *customReader) member(depth int) (m customMember, err error) {
	m.start = len(r.form)
	raw, err := r.dec.ReadValue()
	if err != nil {
		return m, customSyntaxError(err)
	}
	name, err := r.text(raw)
	if err != nil {
		return m, err
	}
	isScope := false
	if depth == 1 {
		if err := r.checkName(name); err != nil {
			return m, err
		}
		isScope = string(name) == "scope"
	}
	m.nameEnd = len(r.form)
	r.form = append(r.form, ':')
	if err := r.value(depth + 1); err != nil {
		return m, err
	}
	m.end = len(r.form)
	if isScope {
		err = checkScope(r.form[m.nameEnd+len(":"):])
	}
	return m, err
}

// text appends a string in its canonical spelling, and returns its value, which is
// valid until the next call.
func (r *customReader) text(raw jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		r.form = append(r.form, raw...)
		return raw[1 : len(raw)-1], nil
	}
	var err error
	if r.spare, err = jsontext.AppendUnquote(r.spare[:0], raw); err != nil {
		return nil, customSyntaxError(err)
	}
	if bytes.IndexByte(r.spare, 0) >= 0 {
		return nil, customError(r.dec.StackPointer(), `contains \u0000, which PostgreSQL cannot store`)
	}
	if r.form, err = jsontext.AppendQuote(r.form, r.spare); err != nil {
		return nil, customSyntaxError(err)
	}
	return r.spare, nil
}

// checkName checks the name of a claim.
func (r *customReader) checkName(name []byte) error {
	var room [32]byte // longer than any reserved name
	switch plain := plainly(room[:0], name); {
	case string(name) == "scope":
	case string(plain) == "scope":
		return customError(r.dec.StackPointer(), "reserved: some parsers take it for scope, which is spelled so")
	case reserved[string(plain)]:
		return customError(r.dec.StackPointer(), "reserved, in whatever spelling, as are %s", strings.Join(reservedClaims, ", "))
	case string(name) == "__proto__":
		return customError(r.dec.StackPointer(), "reserved: scripts may take its members for claims")
	}
	return nil
}

// checkScope checks a scope in canonical form. A valid scope contains nothing that needs
// escaping.
func checkScope(form []byte) error {
	if form[0] != '"' || !isScope(string(form[1:len(form)-1])) {
		return customError("/scope", "not a scope: a string of words with one space between two, of printable ASCII characters but for the quotation mark and the backslash") // RFC 6749 §3.3
	}
	return nil
}

// reorder sorts the members of the object at the end of the form.
func (r *customReader) reorder(first int) error {
	members := r.members[first:]
	start := members[0].start
	slices.SortFunc(members, r.compare)
	r.spare = append(r.spare[:0], r.form[start:]...)
	for i, m := range members {
		if i > 0 && r.compare(members[i-1], m) == 0 {
			return customError(r.dec.StackPointer().AppendToken(string(r.name(m))), "given twice")
		}
	}
	r.form = r.form[:start]
	for i, m := range members {
		if i > 0 {
			r.form = append(r.form, ',')
		}
		r.form = append(r.form, r.spare[m.start-start:m.end-start]...)
	}
	r.form = append(r.form, '}')
	r.members = r.members[:first]
	return nil
}

// name returns a member's name, unescaped.
func (r *customReader) name(m customMember) []byte {
	quoted := r.form[m.start:m.nameEnd]
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // it was quoted here
	return name
}

// compare orders two members' names by RFC 8785 §3.2.3: by UTF-16, where everything that starts
// with 0xF0 or more in UTF-8 precedes what starts with 0xEE or 0xEF.
func (r *customReader) compare(a, b customMember) int {
	x, y := r.name(a), r.name(b)
	for i := range min(len(x), len(y)) {
		switch {
		case x[i] == y[i]:
		case x[i] >= 0xEE && y[i] >= 0xEE && (x[i] >= 0xF0) != (y[i] >= 0xF0):
			return cmp.Compare(y[i], x[i])
		default:
			return cmp.Compare(x[i], y[i])
		}
	}
	return cmp.Compare(len(x), len(y))
}

// isScope is RFC 6749 §3.3.
func isScope(s string) bool {
	for word := range strings.SplitSeq(s, " ") {
		if !isWord(word) {
			return false
		}
	}
	return true
}

func customSyntaxError(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return customError("", "not valid JSON (byte %s)", strconv.FormatInt(e.ByteOffset, 10))
	}
	return customError("", "not valid JSON")
}
