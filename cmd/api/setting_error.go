package main

import (
	"fmt"
	"strconv"
)

// settingError is a setting that is wrong or missing. Its text is one line, and never holds a secret's value.
type settingError struct{ line string }

func (e *settingError) Error() string { return e.line }

// wrong names a setting, says what it is, and what it may be.
func wrong(name, is, may string) error {
	return &settingError{fmt.Sprintf("%s is %s; it may be %s", name, is, may)}
}

// wrongTogether is a setting, or two, that are wrong in a way that has no single value to show.
func wrongTogether(line string) error { return &settingError{line} }

// quote shows a wrong value on one line, shortened.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strconv.Quote(text)
}
