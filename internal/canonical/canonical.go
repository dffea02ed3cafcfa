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

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxBytes is the maximum size of an object, as it is given and with its
	// numbers written out in full.
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
	c := canonicalizer{dec: jsontext.NewDecoder(bytes.NewBuffer(data)), left: MaxBytes}
	if c.dec.PeekKind() != '{' {
		if _, err := c.dec.ReadToken(); err != nil {
			return nil, syntaxError(err)
		}
		return nil, refuse("not a JSON object")
	}
	form, err := c.value(make([]byte, 0, len(data)), 0)
	if err != nil {
		return nil, err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, refuse("something follows the JSON object")
	}
	return form, nil
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

type canonicalizer struct {
	dec  *jsontext.Decoder
	left int // bytes that numbers may still take when written out
}

// value appends the canonical form of the decoder's next value.
func (c *canonicalizer) value(dst []byte, depth int) ([]byte, error) {
	if depth >= maxDepth {
		return nil, refuse("nested deeper than %d levels", maxDepth)
	}
	token, err := c.dec.ReadToken()
	if err != nil {
		return nil, syntaxError(err)
	}
	switch token.Kind() {
	case '{':
		return c.object(dst, depth)
	case '[':
		return c.array(dst, depth)
	case '"':
		return appendString(dst, token.String())
	case '0':
		return c.number(dst, token.String())
	default: // null, false, true
		return append(dst, token.String()...), nil
	}
}

func (c *canonicalizer) object(dst []byte, depth int) ([]byte, error) {
	type member struct {
		name  string
		value []byte
	}
	var members []member
	for c.dec.PeekKind() != '}' {
		name, err := c.dec.ReadToken()
		if err != nil {
			return nil, syntaxError(err)
		}
		m := member{name: name.String()}
		if m.value, err = c.value(nil, depth+1); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendString(dst, m.name); err != nil {
			return nil, err
		}
		dst = append(append(dst, ':'), m.value...)
	}
	return append(dst, '}'), nil
}

func (c *canonicalizer) array(dst []byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := 0; c.dec.PeekKind() != ']'; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = c.value(dst, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	return append(dst, ']'), nil
}

func appendString(dst []byte, s string) ([]byte, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, refuse(`a string contains \u0000, which PostgreSQL cannot store`)
	}
	dst, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return nil, syntaxError(err)
	}
	return dst, nil
}

// number appends a number as its significant digits and a power of ten, which
// is exact for every number, and the same for all of its spellings.
func (c *canonicalizer) number(dst []byte, text string) ([]byte, error) {
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(text), "e")
	negative := strings.HasPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	exponent := 0
	if exponentText != "" {
		var err error
		if exponent, err = strconv.Atoi(exponentText); err != nil {
			return nil, numberTooLong()
		}
	}
	// PostgreSQL writes numbers out in full, so a short 1e60000 would come back
	// as 60,001 digits.
	exponent -= len(fraction)
	if -exponent > maxFractionDigits || exponent > MaxBytes {
		return nil, numberTooLong()
	}
	c.left -= len(whole) + len(fraction) + max(exponent, -exponent)
	if c.left < 0 {
		return nil, numberTooLong()
	}

	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return append(dst, '0'), nil
	}
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, significant...)
	if exponent != 0 {
		dst = append(dst, 'e')
		dst = strconv.AppendInt(dst, int64(exponent), 10)
	}
	return dst, nil
}

func numberTooLong() error {
	return refuse("its numbers take more than %d bytes when written out in full, or one has more than %d digits behind the point",
		MaxBytes, maxFractionDigits)
}
