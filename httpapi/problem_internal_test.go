package httpapi

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// codes of problem documents; the others exist below /oauth2/ only.
func codes() []string {
	var names []string
	for c := range kinds {
		if !slices.Contains([]code{codeInvalidClient, codeInvalidGrant, codeInvalidScope, codeInvalidTarget, codeUnknownClient, codeUnsupportedGrantType}, c) {
			names = append(names, string(c))
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryCodeIsDescribed(t *testing.T) {
	t.Parallel()
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Code struct {
							Enum []string `yaml:"enum"`
						} `yaml:"code"`
					} `yaml:"properties"`
				} `yaml:"Problem"`
				OAuthError struct {
					Properties struct {
						Error struct {
							Enum []string `yaml:"enum"`
						} `yaml:"error"`
					} `yaml:"properties"`
				} `yaml:"OAuthError"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(description, &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(codes(), doc.Components.Schemas.Problem.Properties.Code.Enum); diff != "" {
		t.Errorf("codes (-) and openapi.yaml (+):\n%s", diff)
	}
	for _, kind := range kinds {
		if !slices.Contains(doc.Components.Schemas.OAuthError.Properties.Error.Enum, kind.oauth) {
			t.Errorf("openapi.yaml has no OAuth error %q", kind.oauth)
		}
	}

	text, err := os.ReadFile("problems.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllSubmatch(text, -1) {
		headings = append(headings, string(m[1]))
	}
	if diff := cmp.Diff(codes(), headings); diff != "" {
		t.Errorf("codes (-) and problems.md (+):\n%s", diff)
	}
}

// failing answers a request with a handler that fails.
func failing(t *testing.T, path string, h handler) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	s := &Server{logger: slog.New(slog.NewTextHandler(&log, nil))}
	r := s.router("public")
	r.Get("/{way}/{secret}", handle(h))
	w := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	request.Header.Set(requestIDHeader, "golden")
	r.ServeHTTP(w, request)
	return w, log.String()
}

func TestUnexpectedErrorsAreBare500s(t *testing.T) {
	t.Parallel()
	const (
		secret   = "the-secret-thing"
		document = `{"type":"` + problemTypes + `internal_error","title":"The service made a mistake.","status":500,"code":"internal_error","request_id":"golden"}`
		oauth    = `{"error":"server_error","error_description":"The service made a mistake."}`
	)
	var nothing *http.Request
	for name, h := range map[string]handler{
		"error":         func(http.ResponseWriter, *http.Request) error { return errors.New("cause") },
		"panic":         func(http.ResponseWriter, *http.Request) error { panic(secret) },
		"runtime error": func(http.ResponseWriter, *http.Request) error { _ = nothing.Method; return nil },
	} {
		for path, want := range map[string]string{"/v1/" + secret: document, "/oauth2/" + secret: oauth} {
			w, log := failing(t, path, h)
			if w.Code != http.StatusInternalServerError || w.Body.String() != want {
				t.Errorf("%s at %s: %d %s, want %s", name, path, w.Code, w.Body, want)
			}
			// Security 21: what happened is in the log, what was thrown or asked for is not.
			if strings.Contains(log, secret) || !strings.Contains(log, "request_id=golden") || !strings.Contains(log, "level=ERROR") {
				t.Errorf("%s at %s: log %s", name, path, log)
			}
		}
	}
}

// An answer that was begun must not look complete when its handler panics.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want http.ErrAbortHandler", v)
		}
	}()
	failing(t, "/v1/x", func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		panic("late")
	})
	t.Error("the connection was not broken off")
}

// RFC 6749 §5.2 allows error_description few characters.
func TestErrorDescriptionsAreSafe(t *testing.T) {
	t.Parallel()
	got := describe("Title.", &problem{parameter: "a\"b", detail: "c\\d\ne–f"})
	if want := "Title: a'b. c'd'e'f"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
