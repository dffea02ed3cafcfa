package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// CAEP 1.0's names for the events (§3.1, §3.6).
const (
	caepRevoked     = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	caepEstablished = "https://schemas.openid.net/secevent/caep/event-type/session-established"
)

// complexSubject is a session and, if it has one, its user (Shared Signals Framework 1.0
// §3.3; the formats are RFC 9493's).
type complexSubject struct {
	Format  string        `json:"format"`
	Session opaqueSubject `json:"session"`
	User    *issSub       `json:"user,omitempty"`
}

type opaqueSubject struct {
	Format string `json:"format"`
	ID     string `json:"id"`
}

type issSub struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// caepDetails are CAEP's members of an event (§2, §3.6.1).
type caepDetails struct {
	At                   int64             `json:"event_timestamp"`
	Initiator            string            `json:"initiating_entity,omitempty"`
	ReasonAdmin          map[string]string `json:"reason_admin,omitempty"`
	UserAgentFingerprint string            `json:"fp_ua,omitempty"`
}

// causes map our reasons to CAEP's terms: the entity behind each, and a message for
// administrators.
var causes = map[string]struct{ initiator, message string }{
	"signed_out":            {"user", "Signed out by the user, on this device"},
	"signed_out_elsewhere":  {"user", "Signed out by the user, from another session"},
	"signed_out_everywhere": {"user", "Signed out everywhere by the user"},
	"operator":              {"admin", "Ended by an operator"},
	"all_signed_out":        {"admin", "All users were signed out by an operator"},
	"limit":                 {"policy", "The user had more sessions than allowed"},
	"replaced":              {"policy", "Another session took its place"},
	"theft":                 {"policy", "A stolen refresh token was presented"},
	"max_age":               {"policy", "It reached the maximum age of sessions"},
	"backend":               {"system", "Ended by the application"},
	"global_revocation":     {"system", "Signed out everywhere by the identity provider"},
	"idle":                  {"system", "Not used for too long"},
	"expired":               {"system", "It reached its absolute end"},
}

// reasonAdmin says why a session ended, with our name for it (CAEP 1.0 §2).
func reasonAdmin(reason string) map[string]string {
	message := causes[reason].message
	if message == "" {
		message = "Ended"
	}
	return map[string]string{"en": message + " (" + reason + ")"}
}

// pushSET pushes the event as a Security Event Token. Each endpoint's token has its own id,
// the same at each attempt.
func (e *endpoint) pushSET(ctx context.Context, d delivery, authorization tokens.Secret) error {
	var f facts
	if err := json.Unmarshal(d.facts, &f); err != nil {
		return fmt.Errorf("decode the event: %w", err)
	}
	subject := complexSubject{Format: "complex", Session: opaqueSubject{"opaque", f.Session}}
	if f.Subject != "" {
		subject.User = &issSub{"iss_sub", e.issuer, f.Subject}
	}
	kind, details := caepEstablished, caepDetails{At: d.at.Unix(), UserAgentFingerprint: fingerprint(f.Client.UserAgent)}
	if d.kind == TypeEnded {
		kind = caepRevoked
		details.Initiator, details.ReasonAdmin = causes[f.Reason].initiator, reasonAdmin(f.Reason)
	}
	set, err := e.sign(tokens.SecurityEvent{
		ID: uuid.NewSHA1(d.event, []byte(e.Name)).String(), IssuedAt: d.now, Audience: e.Audience, Transaction: d.event.String(),
		SubjectID: subject, Type: kind, Details: details,
	})
	if err != nil {
		return fmt.Errorf("sign the event: %w", err)
	}
	if err := e.client.Push(ctx, string(e.URL), authorization, set); err != nil {
		return fmt.Errorf("the endpoint %w", err)
	}
	return nil
}

// fingerprint distinguishes user agents, and is empty for none.
func fingerprint(userAgent string) string {
	if userAgent == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(userAgent))
	return hex.EncodeToString(digest[:20])
}
