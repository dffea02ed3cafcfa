package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// shownTo is the precision with which clocks are shown.
const shownTo = 100 * time.Microsecond

// words formats values for pages, where up leads to the first page.
func words(up string) template.FuncMap {
	to := func(path string) string { return relative(up, path) }
	return template.FuncMap{
		"ago": ago, "clock": clock, "stamp": stamp, "device": deviceOf, "program": programOf, "isKnown": func(c sessionstore.Client) bool { return c != sessionstore.Client{} },
		"reason": reasonOf, "theftKind": theftKind, "lacksKey": layout.lacksKey, "isOperator": isOperator, "number": number, "span": span, "apart": apart,
		"to": to, "subjectPath": func(subject string) string { return to(subjectPath(subject)) }, "sessionPath": func(id uuid.UUID) string { return to(sessionPath(id)) },
		"otherPath": func(id string) string { return to(root + "/sessions/" + id) }, "theftPath": func(id uuid.UUID) string { return to(root + "/thefts/" + id.String()) },
		"static":  func(file string) (string, error) { path, err := static(file); return to(path), err },
		"entry":   func(l layout, s sessionstore.Session, a axis, next string) entry { return entry{l, s, a, next} },
		"noAxis":  func() axis { return axis{} },
		"form":    func(l layout, action, next string) form { return form{l.FormField, l.FormToken, to(action), next} },
		"endPath": func(id uuid.UUID) string { return sessionPath(id) + "/end" }, "endSubjectPath": endSubjectPath,
		"linkPath": func(code string) string { return to(root + "/link/" + url.PathEscape(code)) },
	}
}

// entry is a session in a list, on the list's time line if it has one.
type entry struct {
	Layout  layout
	Session sessionstore.Session
	Axis    axis
	Next    string
}

// form is what each form has.
type form struct{ Field, Token, Action, Next string }

// static is the path of a file, with its version.
func static(file string) (string, error) {
	content, err := staticFiles.ReadFile("static/" + file)
	sum := sha256.Sum256(content)
	return root + "/static/" + file + "?v=" + hex.EncodeToString(sum[:6]), err
}

func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// number formats a number with a comma for each thousand.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ago is how long ago something was, or in how long it will be, in the largest suitable unit.
func ago(t time.Time) string {
	d := time.Since(t)
	if d < 0 {
		return "in " + inWords(-d)
	}
	if d < time.Second {
		return "just now"
	}
	return inWords(d) + " ago"
}

func inWords(d time.Duration) string {
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		switch n := int(d / unit.is); {
		case n == 1:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than a second"
}

// span is a measured or configured duration.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatFloat(float64(d.Round(shownTo))/float64(time.Millisecond), 'f', -1, 64) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	case d%time.Minute != 0:
		return d.Round(time.Second).String()
	case d%time.Hour != 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h", d/time.Hour)
}

// apart is how far a clock is from the database's.
func apart(offset time.Duration) string {
	switch offset = offset.Round(shownTo); {
	case offset < 0:
		return span(-offset) + " behind the database’s"
	case offset > 0:
		return span(offset) + " ahead of the database’s"
	}
	return "the database’s"
}

// InWords says for people how a session ended. It names what was involved, such as another
// session, if that is known.
func InWords(e sessionstore.Ending) string {
	why := reasonOf(e)
	if why.Session != "" {
		return why.Text + ": " + why.Session
	}
	return why.Text
}

// ending says how a session ended. Session is the one that was involved.
type ending struct {
	Text    string
	Session string
	// Kind is a class of the style sheet.
	Kind string
}

func reasonOf(e sessionstore.Ending) ending {
	other := ""
	if id, err := uuid.Parse(e.By); err == nil {
		other = id.String()
	}
	by := func(who string) string {
		if e.By == "" {
			return who
		}
		return who + " “" + e.By + "”"
	}
	switch e.Reason {
	case "":
		return ending{Text: "It is live", Kind: "live"}
	case sessionstore.ReasonSignedOut:
		return ending{Text: "Signed out by its user, on this device"}
	case sessionstore.ReasonSignedOutElsewhere:
		return ending{Text: "Signed out by its user, from another session", Session: other}
	case sessionstore.ReasonSignedOutEverywhere:
		return ending{Text: "Signed out everywhere by its user", Session: other}
	case sessionstore.ReasonBackend:
		return ending{Text: "Ended by " + by("the backend")}
	case sessionstore.ReasonGlobalRevocation:
		return ending{Text: "Signed out everywhere by " + by("the identity provider")}
	case sessionstore.ReasonOperator:
		return ending{Text: "Ended by " + by("the operator"), Kind: "acted"}
	case sessionstore.ReasonAllSignedOut:
		return ending{Text: "All users were signed out, by " + by("the operator"), Kind: "acted"}
	case sessionstore.ReasonLimit:
		if e.By == "" {
			return ending{Text: "Ended because its user had reached the limit, which could not be checked while a shard was down"}
		}
		return ending{Text: "Ended to make room for a newer session: its user had reached the limit", Session: other}
	case sessionstore.ReasonReplaced:
		return ending{Text: "Renewed: another session took its place", Session: other}
	case sessionstore.ReasonTheft:
		return ending{Text: "Theft: " + theftKind(sessionstore.Theft(e.By)), Kind: "theft"}
	case sessionstore.ReasonMaxAge:
		return ending{Text: "It reached the maximum age of sessions"}
	case sessionstore.ReasonIdle:
		return ending{Text: "Expired: it was not used for too long", Kind: "expired"}
	case sessionstore.ReasonExpired:
		return ending{Text: "Expired: it reached its end", Kind: "expired"}
	case sessionstore.ReasonNotRecorded:
		return ending{Text: "Ended; why was not recorded"}
	default: // of a newer release
		return ending{Text: "Ended: " + by(string(e.Reason))}
	}
}

// endedBy are the charts' names for the reasons why sessions ended.
var endedBy = map[sessionstore.Reason]string{
	sessionstore.ReasonSignedOut: "signed out on the device", sessionstore.ReasonSignedOutElsewhere: "signed out from another session",
	sessionstore.ReasonSignedOutEverywhere: "signed out everywhere", sessionstore.ReasonBackend: "by a backend",
	sessionstore.ReasonGlobalRevocation: "by an identity provider", sessionstore.ReasonOperator: "by an operator",
	sessionstore.ReasonAllSignedOut: "all users were signed out", sessionstore.ReasonLimit: "to make room for a newer one",
	sessionstore.ReasonReplaced: "renewed", sessionstore.ReasonTheft: "theft", sessionstore.ReasonMaxAge: "too old",
	sessionstore.ReasonIdle: "not used for too long", sessionstore.ReasonExpired: "it reached its end", sessionstore.ReasonNotRecorded: "no reason was given",
}

// refusedAs are the charts' names for the reasons why refresh tokens were refused.
var refusedAs = map[string]string{
	"stolen": "a stolen token", "refused": "its session had ended", "expired": "too old", "unknown": "no such session",
	"unknown_key": "signed with an unknown key", "wrong_issuer": "another issuer’s", "wrong_audience": "for another audience", "invalid": "not a token of this service",
	"not_proven": "without a proof of its key", "no_proof": "its client needs a proof of a key", "scope": "asked for more scope", "resource": "asked for another resource",
	"other_client": "another client’s", "unavailable": "the database did not answer", "abandoned": "the client hung up", "failed": "the service failed",
}

func theftKind(t sessionstore.Theft) string {
	switch t {
	case sessionstore.Stale:
		return "a refresh token came back after its successor was in use"
	case sessionstore.Lockstep:
		return "the refresh token before the newest came back again and again"
	case sessionstore.Old:
		return "a refresh token came back that had been replaced more than once"
	case sessionstore.Unproven:
		return "a refresh token came without the key that its session is bound to"
	default:
		return string(t)
	}
}

func isOperator(subject string) bool {
	return strings.HasPrefix(subject, byKey) || strings.HasPrefix(subject, byLink)
}

// deviceOf describes a session's device, for people.
func deviceOf(s sessionstore.Session) string {
	agent := cmp.Or(s.LastClient.UserAgent, s.Client.UserAgent)
	return programOf(agent)
}

// programOf reduces a user agent to a few words: what browsers send is long, and mostly
// history.
func programOf(agent string) string {
	if agent == "" {
		return "unknown device"
	}
	system := firstIn(agent, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	})
	browser := firstIn(agent, [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	})
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	const longest = 60
	if runes := []rune(agent); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return agent
}

func firstIn(text string, names [][2]string) string {
	for _, name := range names {
		if strings.Contains(text, name[0]) {
			return name[1]
		}
	}
	return ""
}
