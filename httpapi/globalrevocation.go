package httpapi

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// globalRevocation is the request of draft-parecki-oauth-global-token-revocation.
type globalRevocation struct {
	SubjectID *subjectID `json:"sub_id"`
	// Subject is the member's name before the draft's version -03, which Okta and Auth0 document.
	Subject *subjectID `json:"subject"`
}

// named returns the identifier and its place in the request.
func (g globalRevocation) named() (*subjectID, string, error) {
	switch {
	case g.SubjectID != nil && g.Subject != nil:
		return nil, "", invalidMember("/subject", "It is the earlier name of sub_id: send one of the two.")
	case g.Subject != nil:
		return g.Subject, "/subject", nil
	case g.SubjectID != nil:
		return g.SubjectID, "/sub_id", nil
	}
	return nil, "", invalidMember("/sub_id", "It is missing.")
}

// subjectID is a subject identifier (RFC 9493) in one of the formats that can name one of
// our subjects.
type subjectID struct {
	Format  string  `json:"format"`
	ID      *string `json:"id"`
	Email   *string `json:"email"`
	Issuer  *string `json:"iss"`
	Subject *string `json:"sub"`
}

// The formats of identifiers.
const (
	formatOpaque = "opaque"
	formatEmail  = "email"
	formatIssSub = "iss_sub"
)

// maxSubjectIDBytes limits the whole request.
const maxSubjectIDBytes = 16 << 10

// revokeGlobally ends all sessions of a subject named by an outside party such as an identity
// provider.
func (s *Server) revokeGlobally(w http.ResponseWriter, r *http.Request) error {
	request, err := decodeJSON[globalRevocation](r, maxSubjectIDBytes)
	if err != nil {
		return err
	}
	named, pointer, err := request.named()
	if err != nil {
		return err
	}
	subject, err := s.subjectOf(*named, pointer)
	if err != nil {
		return err
	}
	cause := sessionstore.Cause{Reason: sessionstore.ReasonGlobalRevocation, By: infoOf(r).serviceKey}
	n, err := s.store.InvalidateSubject(r.Context(), subject, uuid.Nil, cause)
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidMember(pointer, sentence(e.Problem))
	} else if err != nil {
		return err
	}
	if n == 0 { // there is no session left to end, or the subject is unknown
		ended, err := s.store.Find(r.Context(), sessionstore.FindParams{Subject: subject, Ended: true, ListParams: sessionstore.ListParams{Limit: 1}})
		if err != nil {
			return err
		}
		if len(ended.Sessions) == 0 {
			return &problem{code: codeSubjectNotFound}
		}
	}
	return writeNoContent(w)
}

// subjectOf reads an identifier, which must have the members of its format and no others (RFC
// 9493 §3).
func (s *Server) subjectOf(id subjectID, pointer string) (subject string, err error) {
	switch id.Format {
	case formatOpaque, formatEmail, formatIssSub:
	default:
		return "", invalidMember(pointer+"/format", "It must be opaque, email or iss_sub.")
	}
	for _, member := range []struct {
		name, format string
		value        *string
	}{
		{"id", formatOpaque, id.ID},
		{"email", formatEmail, id.Email},
		{"iss", formatIssSub, id.Issuer},
		{"sub", formatIssSub, id.Subject},
	} {
		switch {
		case member.format != id.Format && member.value != nil:
			return "", invalidMember(pointer+"/"+member.name, "It does not go with this format.")
		case member.format == id.Format && (member.value == nil || *member.value == ""):
			return "", invalidMember(pointer+"/"+member.name, "It is missing.")
		case member.format == id.Format:
			subject = *member.value // the only remaining member of its format
		}
	}
	if id.Issuer != nil && *id.Issuer != s.cfg.Issuer {
		return "", &problem{code: codeSubjectNotFound, pointer: pointer + "/iss", detail: "It is not this service's issuer."}
	}
	return subject, nil
}
