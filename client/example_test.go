package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/client"
)

// basket is what this backend keeps in a session.
type basket struct {
	Items []string `json:"items"`
}

// A backend that signs its users in, and keeps a basket for each of them.
func Example() {
	sessions, err := client.New("http://127.0.0.1:8081", os.Getenv("SERVICE_KEY"))
	if err != nil {
		panic(err)
	}
	shop := &shop{sessions, slog.New(slog.NewTextHandler(os.Stderr, nil))}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", shop.login)
	mux.HandleFunc("POST /basket/{item}", shop.withSession(shop.add))
	mux.HandleFunc("GET /devices", shop.withSession(shop.devices))
	mux.HandleFunc("POST /logout", shop.withSession(shop.logout))
	server := &http.Server{Addr: "127.0.0.1:8000", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	panic(server.ListenAndServe())
}

type shop struct {
	sessions *client.Client
	log      *slog.Logger
}

// login returns the tokens to a user with the right password.
func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	user, ok := authenticate(r)
	if !ok {
		http.Error(w, "wrong name or password", http.StatusForbidden)
		return
	}
	created, err := s.sessions.CreateSession(r.Context(), client.NewSession{
		Subject: user, Data: client.Data(`{"items":[]}`), Client: client.NewDevice{UserAgent: r.UserAgent()},
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	s.answer(w, map[string]any{
		"access_token": string(created.AccessToken), "token_type": created.TokenType, "expires_in": created.ExpiresIn, "refresh_token": string(created.RefreshToken),
	})
}

// withSession lets a request pass whose access token is active.
func (s *shop) withSession(next func(http.ResponseWriter, *http.Request, *client.Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !isBearer {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		introspection, err := s.sessions.IntrospectToken(r.Context(), client.IntrospectionRequest{Token: client.Secret(token)})
		switch {
		case err != nil:
			s.fail(w, err)
		case !introspection.Active || introspection.TokenType != "Bearer":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next(w, r, introspection.Session)
		}
	}
}

// add changes the data. Two requests at once both count.
func (s *shop) add(w http.ResponseWriter, r *http.Request, session *client.Session) {
	changed, err := client.Update(r.Context(), s.sessions, session.ID, func(b *basket) error {
		b.Items = append(b.Items, r.PathValue("item"))
		return nil
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, changed)
}

func (s *shop) devices(w http.ResponseWriter, r *http.Request, session *client.Session) {
	labels := map[uuid.UUID]string{}
	for device, err := range s.sessions.Sessions(r.Context(), client.SessionFilter{Subject: session.Subject}) {
		if err != nil {
			s.fail(w, err)
			return
		}
		labels[device.ID] = device.Client.UserAgent
	}
	s.answer(w, labels)
}

func (s *shop) logout(w http.ResponseWriter, r *http.Request, session *client.Session) {
	if err := s.sessions.EndSession(r.Context(), session.ID); err != nil {
		s.fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail never answers 401 about a session that could not be checked.
func (s *shop) fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, context.Canceled): // no client waits
	case errors.Is(err, client.ErrUnavailable):
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrEnded):
		w.WriteHeader(http.StatusUnauthorized)
	default:
		s.log.Error("the session service refuses", "error", err) // it has the request's id, and no key
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (s *shop) answer(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		s.log.Error("the answer was not sent", "error", err)
	}
}

// authenticate is a placeholder for your own check of users.
func authenticate(r *http.Request) (user string, ok bool) {
	return r.FormValue("user"), r.FormValue("password") == "correct horse"
}
