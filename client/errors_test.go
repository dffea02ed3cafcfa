package client_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/client"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// code is what a code of an answer means to callers.
type code struct {
	status int
	is     error // nil for none of the package's errors
}

var (
	sentinels = []error{
		client.ErrNotFound, client.ErrEnded, client.ErrTooManySessions, client.ErrIdempotencyKeyReused, client.ErrNotReplaceable,
		client.ErrConflict, client.ErrInvalidArgument, client.ErrUnavailable, client.ErrServiceKey, client.ErrMissingRight,
	}

	// codes of problem documents.
	codes = map[string]code{
		"body_too_large":         {413, client.ErrInvalidArgument},
		"checksum_mismatch":      {412, client.ErrConflict},
		"client_closed_request":  {499, nil},
		"duplicate_member":       {400, client.ErrInvalidArgument},
		"duplicate_parameter":    {400, client.ErrInvalidArgument},
		"idempotency_key_reused": {422, client.ErrIdempotencyKeyReused},
		"internal_error":         {500, nil},
		"invalid_member":         {400, client.ErrInvalidArgument},
		"invalid_parameter":      {400, client.ErrInvalidArgument},
		"invalid_service_key":    {401, client.ErrServiceKey},
		"malformed_body":         {400, client.ErrInvalidArgument},
		"method_not_allowed":     {405, nil},
		"missing_right":          {403, client.ErrMissingRight},
		"missing_service_key":    {401, client.ErrServiceKey},
		"not_replaceable":        {409, client.ErrNotReplaceable},
		"precondition_required":  {428, nil},
		"rate_limited":           {429, nil},
		"request_timeout":        {408, nil},
		"route_not_found":        {404, nil},
		"session_ended":          {409, client.ErrEnded},
		"session_not_found":      {404, client.ErrNotFound},
		"subject_not_found":      {404, client.ErrNotFound},
		"token_in_query":         {400, client.ErrInvalidArgument},
		"too_many_sessions":      {409, client.ErrTooManySessions},
		"unavailable":            {503, client.ErrUnavailable},
		"unknown_member":         {400, client.ErrInvalidArgument},
		"unknown_parameter":      {400, client.ErrInvalidArgument},
		"unsupported_media_type": {415, nil},
	}

	// publicCodes are those of the public listener alone.
	publicCodes = []string{
		"insufficient_scope", "invalid_dpop_proof", "invalid_token", "missing_token", "use_dpop_nonce", "wrong_audience",
	}

	// oauthCodes of an introspection, by their statuses (RFC 6749 §5.2, RFC 7662 §2.3).
	oauthCodes = map[int]code{
		400: {is: client.ErrInvalidArgument}, 401: {is: client.ErrServiceKey}, 403: {is: client.ErrMissingRight}, 408: {},
		413: {is: client.ErrInvalidArgument}, 415: {}, 500: {}, 503: {is: client.ErrUnavailable},
	}
	oauthNames = map[int][]string{
		400: {"invalid_request"}, 401: {"invalid_client", "invalid_token"}, 403: {"unauthorized_client"}, 408: {"invalid_request"},
		413: {"invalid_request"}, 415: {"invalid_request"}, 500: {"server_error"}, 503: {"temporarily_unavailable"},
	}
	publicOAuthNames = []string{
		"invalid_dpop_proof", "invalid_grant", "invalid_scope", "invalid_target", "unsupported_grant_type", "use_dpop_nonce",
	}
)

// Every code of the description is known here.
func TestCodes(t *testing.T) {
	t.Parallel()
	known := slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(publicCodes), maps.Keys(codes))))
	if diff := cmp.Diff(enum(t, "Problem", "code"), known); diff != "" {
		t.Error(diff)
	}
	known = slices.Clone(publicOAuthNames)
	for _, names := range oauthNames {
		known = append(known, names...)
	}
	slices.Sort(known)
	if diff := cmp.Diff(enum(t, "OAuthError", "error"), slices.Compact(known)); diff != "" {
		t.Error(diff)
	}
}

// enum returns what a member of a schema may be.
func enum(t *testing.T, schema, member string) []string {
	t.Helper()
	var names []string
	for _, name := range describe(t).Components.Schemas[schema].Value.Properties[member].Value.Enum {
		names = append(names, fmt.Sprint(name))
	}
	slices.Sort(names)
	return names
}

// Each answer of each operation that says no is an Error with what the answer says.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, operation := range operations(t) {
		if calls[name] == nil {
			t.Errorf("no case covers %s", name)
			continue
		}
		for text, response := range operation.Responses.Map() {
			status, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			if status < 400 {
				continue
			}
			cases := 0
			if response.Value.Content["application/problem+json"] != nil {
				for name2, code := range codes {
					if code.status == status {
						cases++
						checkError(t, name, status, "application/problem+json", name2, code.is)
					}
				}
			} else {
				for _, name2 := range oauthNames[status] {
					cases++
					checkError(t, name, status, "application/json", name2, oauthCodes[status].is)
				}
			}
			if cases == 0 {
				t.Errorf("%s: no case covers %d", name, status)
			}
		}
	}
}

func checkError(t *testing.T, operation string, status int, mediaType, code string, is error) {
	t.Helper()
	body := `{"code":"` + code + `","title":"No.","detail":"A colour.","pointer":"/colour","parameter":"colour","more":1}`
	want := &client.Error{
		Operation: operation, Status: status, Code: code, Title: "No.", Detail: "A colour.", Pointer: "/colour", Parameter: "colour",
		RequestID: "request-7", RetryAfter: 2 * time.Second, Checksum: "abc",
	}
	if mediaType == "application/json" {
		body = `{"error":"` + code + `","error_description":"A colour."}`
		want.Title, want.Pointer, want.Parameter = "", "", ""
	}
	err := calls[operation](t.Context(), with(t, func(r *http.Request) (*http.Response, error) {
		return answer(r, status, mediaType, body, "Retry-After", "2", "ETag", `"abc"`), nil
	}, client.WithAttempts(1)))
	if diff := cmp.Diff(want, errOf(t, err)); diff != "" {
		t.Errorf("%s, %d %s: %s", operation, status, code, diff)
	}
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) != errors.Is(is, sentinel) {
			t.Errorf("%s, %d %s: is %q: %t", operation, status, code, sentinel, errors.Is(err, sentinel))
		}
	}
}

// The errors that a store has too are the store's.
func TestErrorsAreTheStores(t *testing.T) {
	t.Parallel()
	for _, both := range [][2]error{
		{client.ErrNotFound, sessionstore.ErrNotFound},
		{client.ErrEnded, sessionstore.ErrEnded},
		{client.ErrTooManySessions, sessionstore.ErrTooManySessions},
		{client.ErrIdempotencyKeyReused, sessionstore.ErrIdempotencyKeyReused},
		{client.ErrNotReplaceable, sessionstore.ErrNotReplaceable},
		{client.ErrConflict, sessionstore.ErrConflict},
		{client.ErrInvalidArgument, sessionstore.ErrInvalidArgument},
		{client.ErrUnavailable, sessionstore.ErrUnavailable},
	} {
		if !errors.Is(both[0], both[1]) {
			t.Errorf("%q is not %q", both[0], both[1])
		}
	}
}

// An intermediary that answers with its own page is described by its status.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	for status, is := range map[int]error{
		301: nil, 307: nil, 404: nil, 418: nil, 401: client.ErrServiceKey, 500: nil,
		502: client.ErrUnavailable, 503: client.ErrUnavailable, 504: client.ErrUnavailable,
	} {
		for _, mediaType := range []string{"text/html", "application/problem+json", "application/json", ""} {
			c := with(t, func(r *http.Request) (*http.Response, error) {
				return answer(r, status, mediaType, "<h1>"+key, "Location", "http://elsewhere.example"), nil
			}, client.WithAttempts(1))
			_, err := c.Session(t.Context(), id)
			if e := errOf(t, err); e.Status != status || e.Code != "" || e.Error() != fmt.Sprintf("getSession: %d (request request-7)", status) {
				t.Errorf("%d: %v", status, err)
			}
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != errors.Is(is, sentinel) {
					t.Errorf("%d: is %q: %t", status, sentinel, errors.Is(err, sentinel))
				}
			}
		}
	}
}

// An unexpected answer is an error that quotes nothing of it.
func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<h1>" + key, `{"created_at":"` + key + `"}`, `[]`, `{"id":7}`} {
		c := with(t, func(r *http.Request) (*http.Response, error) { return answer(r, 200, "application/json", body), nil })
		session, err := c.Session(t.Context(), id)
		if err == nil || strings.Contains(err.Error(), key) || !cmp.Equal(session, client.Session{}) {
			t.Errorf("%s: %v, %v", body, session, err)
		}
	}
	c := with(t, func(r *http.Request) (*http.Response, error) {
		return answer(r, 200, "application/json", strings.Repeat(" ", 8<<20)+"{}"), nil
	})
	if _, err := c.Session(t.Context(), id); err == nil || err.Error() != "getSession: the answer has more than 8388608 bytes" {
		t.Error(err)
	}
}

// An answer that is not the service's says neither that a token is inactive nor that a session was created.
func TestAnswersOfSomethingElse(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `null`, `{"message":"down for maintenance"}`, `{"active":null}`, `{"active":"false"}`, `<h1>`} {
		c := with(t, func(r *http.Request) (*http.Response, error) { return answer(r, 200, "application/json", body), nil })
		if got, err := c.IntrospectToken(t.Context(), client.IntrospectionRequest{Token: "x"}); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
		if got, err := c.CreateSession(t.Context(), client.NewSession{}); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
	for body, want := range map[string]bool{`{"active":false}`: false, `{"active":true,"sub":"ada"}`: true} {
		c := with(t, func(r *http.Request) (*http.Response, error) { return answer(r, 200, "application/json", body), nil })
		if got, err := c.IntrospectToken(t.Context(), client.IntrospectionRequest{Token: "x"}); err != nil || got.Active != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

// The text of an error is one line that says what is wrong where.
func TestErrorText(t *testing.T) {
	t.Parallel()
	e := &client.Error{
		Operation: "createSession", Status: 400, Code: "unknown_member", Title: "The body has a member that this route does not know.",
		Detail: "It has client.", Pointer: "/colour", RequestID: "r7",
	}
	const want = "createSession: 400 unknown_member /colour: The body has a member that this route does not know. It has client. (request r7)"
	if e.Error() != want {
		t.Errorf("%s", e)
	}
}
