package settings

import (
	"fmt"
	"strconv"
)

// Error is a setting that is wrong or missing. Its text is one line, and never holds a secret's value.
type Error struct{ line string }

func (e *Error) Error() string { return e.line }

// Wrong names a setting, says what it is, and what it must be.
func Wrong(name, is, must string) error {
	return &Error{fmt.Sprintf("%s is %s; it must be %s", name, is, must)}
}

// WrongTogether is a setting, or two, that are wrong in a way that has no single value to show.
func WrongTogether(line string) error { return &Error{line} }

// Quote shows a wrong value on one line, shortened.
func Quote(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strconv.Quote(text)
}
