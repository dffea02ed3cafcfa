// Package canonical reduces all spellings of a JSON object to one form, and has a
// checksum of it: key order, spacing, escapes and the spelling of numbers (1, 1.0,
// 1e0) make no difference, while different content never has the same form.
package canonical

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxBytes is the maximum size of an object, both as given and with its numbers written out in full.
	MaxBytes = 64 << 10

	maxDepth = 200
	// maxFractionDigits is how many digits PostgreSQL's numeric type keeps after the
	// point.
	maxFractionDigits = 16383
)

// Error says what is wrong with an object that cannot be stored, and what is
// allowed. It contains nothing of the object.
type Error string

func (e Error) Error() string { return string(e) }

// SumEncoding is how checksums are written.
var SumEncoding = base64.RawURLEncoding

// Sum is the checksum of a form: SHA-256.
func Sum(form []byte) string {
	sum := sha256.Sum256(form)
	return SumEncoding.EncodeToString(sum[:])
}

// Form returns the one form for all spellings of a JSON object. It fails with an
// [Error] if the object cannot be stored.
//
// RFC 8785's canonical form would not do: it rounds numbers to what JavaScript
// holds, so two different long ids would be taken for the same data.
func Form(data []byte) ([]byte, error) {
	if len(data) > MaxBytes {
		return nil, refuse("longer than %d bytes", MaxBytes)
	}
	c, _ := canonicalizers.Get().(*canonicalizer)
	defer canonicalizers.Put(c)
	return c.read(data)
}

func refuse(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// syntaxError names the place, never the content.
func syntaxError(err error) error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return refuse("not valid JSON")
	}
	at := ""
	if syntactic.JSONPointer != "" {
		at = " at " + strconv.Quote(string(syntactic.JSONPointer))
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return refuse("a member name is given twice%s", at)
	}
	return refuse("not valid JSON%s (byte %d)", at, syntactic.ByteOffset)
}

// canonicalizer reads an object and writes its form, all in one pass.
type canonicalizer struct {
	in      bytes.Buffer
	dec     jsontext.Decoder
	form    []byte
	members []member // of the objects that are open, the innermost one's last
	spare   []byte   // for members that change places, and strings without their escapes
	left    int      // bytes that numbers may still take when written out
}

// member is where a member is in the form: its name, with quotation marks, and the whole of it.
type member struct{ start, nameEnd, end int }

var canonicalizers = sync.Pool{New: func() any { return new(canonicalizer) }}

func (c *canonicalizer) read(data []byte) ([]byte, error) {
	c.in, c.form, c.members, c.left = *bytes.NewBuffer(data), c.form[:0], c.members[:0], MaxBytes
	c.dec.Reset(&c.in)
	defer func() { c.in = bytes.Buffer{} }()
	if c.dec.PeekKind() != '{' {
		if _, err := c.dec.ReadToken(); err != nil {
			return nil, syntaxError(err)
		}
		return nil, refuse("not a JSON object")
	}
	if err := c.value(0); err != nil {
		return nil, err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, refuse("something follows the JSON object")
	}
	return bytes.Clone(c.form), nil
}

// value appends the canonical form of the decoder's next value.
func (c *canonicalizer) value(depth int) error {
	if depth >= maxDepth {
		return refuse("nested deeper than %d levels", maxDepth)
	}
	switch c.dec.PeekKind() {
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	}
	raw, err := c.dec.ReadValue()
	if err != nil {
		return syntaxError(err)
	}
	switch raw.Kind() {
	case '"':
		return c.text(raw)
	case '0':
		return c.number(string(raw))
	default: // null, false, true
		c.form = append(c.form, raw...)
		return nil
	}
}

// token reads a token that goes into the form unchanged: a bracket.
func (c *canonicalizer) token() error {
	token, err := c.dec.ReadToken()
	if err != nil {
		return syntaxError(err)
	}
	c.form = append(c.form, byte(token.Kind()))
	return nil
}

func (c *canonicalizer) object(depth int) error {
	if err := c.token(); err != nil {
		return err
	}
	first, inOrder := len(c.members), true
	for c.dec.PeekKind() != '}' {
		if len(c.members) > first {
			c.form = append(c.form, ',')
		}
		m := member{start: len(c.form)}
		name, err := c.dec.ReadValue()
		if err != nil {
			return syntaxError(err)
		}
		if err := c.text(name); err != nil {
			return err
		}
		m.nameEnd = len(c.form)
		c.form = append(c.form, ':')
		if err := c.value(depth + 1); err != nil {
			return err
		}
		m.end = len(c.form)
		if n := len(c.members); n > first && inOrder {
			inOrder = c.compare(c.members[n-1], m) == -1
		}
		c.members = append(c.members, m)
	}
	if !inOrder {
		c.sort(c.members[first:])
	}
	c.members = c.members[:first]
	return c.token()
}

// sort puts the members that the form ends with in the order of their names.
func (c *canonicalizer) sort(members []member) {
	start := members[0].start
	slices.SortFunc(members, c.compare)
	c.spare = append(c.spare[:0], c.form[start:]...)
	c.form = c.form[:start]
	for i, m := range members {
		if i > 0 {
			c.form = append(c.form, ',')
		}
		c.form = append(c.form, c.spare[m.start-start:m.end-start]...)
	}
}

func (c *canonicalizer) compare(a, b member) int { return bytes.Compare(c.name(a), c.name(b)) }

// name is a member's, without its escapes.
func (c *canonicalizer) name(m member) []byte {
	quoted := c.form[m.start:m.nameEnd]
	if bytes.IndexByte(quoted, '\\') == -1 {
		return quoted[1 : len(quoted)-1]
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // it was quoted here
	return name
}

func (c *canonicalizer) array(depth int) error {
	if err := c.token(); err != nil {
		return err
	}
	for i := 0; c.dec.PeekKind() != ']'; i++ {
		if i > 0 {
			c.form = append(c.form, ',')
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	return c.token()
}

// text appends a string in the one spelling of it.
func (c *canonicalizer) text(raw jsontext.Value) (err error) {
	if bytes.IndexByte(raw, '\\') == -1 { // then nothing in it needs to be escaped
		c.form = append(c.form, raw...)
		return nil
	}
	if c.spare, err = jsontext.AppendUnquote(c.spare[:0], raw); err != nil {
		return syntaxError(err)
	}
	if bytes.IndexByte(c.spare, 0) != -1 {
		return refuse(`a string contains \u0000, which PostgreSQL cannot store`)
	}
	if c.form, err = jsontext.AppendQuote(c.form, c.spare); err != nil {
		return syntaxError(err)
	}
	return nil
}

// number appends a number as its significant digits and a power of ten, which
// is exact for every number, and the same for all of its spellings.
func (c *canonicalizer) number(text string) error {
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(text), "e")
	negative := strings.HasPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	exponent := 0
	if exponentText != "" {
		var err error
		if exponent, err = strconv.Atoi(exponentText); err != nil {
			return numberTooLong()
		}
	}
	// PostgreSQL writes numbers out in full, so a short 1e60000 would come back
	// as 60,001 digits.
	exponent -= len(fraction)
	if -exponent > maxFractionDigits || exponent > MaxBytes {
		return numberTooLong()
	}
	c.left -= len(whole) + len(fraction) + max(exponent, -exponent)
	if c.left < 0 {
		return numberTooLong()
	}

	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		c.form = append(c.form, '0')
		return nil
	}
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	if negative {
		c.form = append(c.form, '-')
	}
	c.form = append(c.form, significant...)
	if exponent != 0 {
		c.form = append(c.form, 'e')
		c.form = strconv.AppendInt(c.form, int64(exponent), 10)
	}
	return nil
}

func numberTooLong() error {
	return refuse("its numbers take more than %d bytes when written out in full, or one has more than %d digits behind the point",
		MaxBytes, maxFractionDigits)
}
