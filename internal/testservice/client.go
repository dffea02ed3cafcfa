package testservice

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Answer is the answer to a request. Status 0 means that there was none, and Body says why.
type Answer struct {
	Status int
	Body   string
}

// Send sends a form, JSON that is a string, or nothing, and returns the status, or 0 if there is no answer, and the
// body. Further headers are given as alternating names and values.
func (s *Service) Send(method, address, bearer string, body any, headers ...string) (int, string) {
	s.t.Helper()
	answer := <-s.SendBeside(method, address, bearer, body, headers...)
	return answer.Status, answer.Body
}

// SendBeside is [Service.Send] without waiting for the answer.
func (s *Service) SendBeside(method, address, bearer string, body any, headers ...string) <-chan Answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), Patience)
	content, mediaType := "", ""
	switch body := body.(type) {
	case nil:
	case url.Values:
		content, mediaType = body.Encode(), "application/x-www-form-urlencoded"
	case string:
		content, mediaType = body, "application/json"
	default:
		s.t.Fatalf("%T cannot be sent: a body is a form, a string or nil", body)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answers := make(chan Answer, 1)
	go func() {
		defer cancel()
		answers <- do(r)
	}()
	return answers
}

func do(r *http.Request) Answer {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return Answer{0, err.Error()}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{0, err.Error()}
	}
	return Answer{response.StatusCode, string(content)}
}

// Pair is a token response.
type Pair struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Session      struct {
		ID string `json:"id"`
	} `json:"session"`
}

// ParsePair reads a token response.
func ParsePair(t *testing.T, text string) (pair Pair) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &pair); err != nil || pair.AccessToken == "" || pair.RefreshToken == "" {
		t.Fatalf("not a token response: %s", text)
	}
	return pair
}

// CreateSession makes a session, as a backend with the service key does after a login.
func (s *Service) CreateSession(key, body string) Pair {
	s.t.Helper()
	status, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", key, body)
	if status != http.StatusCreated {
		s.t.Fatalf("create a session: %d %s", status, answer)
	}
	return ParsePair(s.t, answer)
}

// Refresh is RFC 6749 §6.
func (s *Service) Refresh(token string) (status int, answer string) {
	s.t.Helper()
	return s.Send(http.MethodPost, s.Public+"/oauth2/token", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Current asks for the access token's session and returns the status.
func (s *Service) Current(accessToken string) int {
	s.t.Helper()
	status, _ := s.Send(http.MethodGet, s.Public+"/v1/me/sessions/current", accessToken, nil)
	return status
}
