// Webshop is the shop for browsers: pages with forms, and sessions in cookies, with
// Latchkey's packages on its own database pool. Guests have a basket, which they keep when they
// sign in.
//
//	DATABASE_URL=postgres://… go run ./examples/webshop
//
// and then http://localhost:8091 in a browser. It must be localhost or https: the cookies are Secure.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"html/template"
	"io/fs"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const maxBody = 1 << 10

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// basket is what the shop keeps in a session.
type basket struct {
	Items map[string]int `json:"items,omitempty"`
	// Message is what the next page shows, once.
	Message string `json:"message,omitempty"`
	// FormSecret is the secret from which the session's form tokens are made. It is on no
	// page.
	FormSecret []byte `json:"formSecret,omitempty"`
}

type shop struct {
	store    *sessionstore.Store
	sessions *sessionhttp.Manager[basket]
	forms    *sessionhttp.Forms[basket]
}

func main() {
	keyFile := flag.String("keys", "webshop-keys.json", "the file with the signing key, which is created if it does not exist")
	flag.Parse()
	if err := run(context.Background(), *keyFile); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, keyFile string) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	keys, err := readKeys(keyFile)
	if err != nil {
		return err
	}
	s, err := newShop(pool, keys, config())
	if err != nil {
		return err
	}
	// Records which tokens are in use, so that a stolen one is noticed.
	go func() { _ = s.store.Run(ctx) }()
	server := &http.Server{Addr: "localhost:8091", Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	log.Print("the shop is open at http://", server.Addr)
	return server.ListenAndServe()
}

// readKeys returns the file's keys. They survive a restart, and so do the sessions.
func readKeys(file string) (*tokens.KeyRing, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		jwk, _, err := tokens.GenerateKey("ES256")
		if err != nil {
			return nil, err
		}
		keys, err := tokens.AppendKey("", jwk)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
			return nil, err
		}
		return tokens.ParseKeyRing([]byte(keys))
	}
	if err != nil {
		return nil, err
	}
	return tokens.ParseKeyRing(text)
}

func config() sessionstore.Config {
	return sessionstore.Config{Tokens: tokens.Config{Issuer: "http://localhost:8091", Audience: "webshop"}}
}

func newShop(pool *pgxpool.Pool, keys *tokens.KeyRing, cfg sessionstore.Config) (*shop, error) {
	store, err := sessionstore.New(pool, keys, cfg)
	if err != nil {
		return nil, err
	}
	sessions := sessionhttp.New[basket](store, sessionhttp.Config{
		Transport: sessionhttp.Cookies{Name: "webshop"},
		Optional:  true,
		Anonymous: func(*http.Request) sessionstore.CreateParams {
			return sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}}
		},
	})
	forms := sessionhttp.NewForms(sessions, func(b *basket) *[]byte { return &b.FormSecret })
	return &shop{store: store, sessions: sessions, forms: forms}, nil
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.show)
	mux.HandleFunc("POST /basket", s.add)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	return s.sessions.Handler(http.MaxBytesHandler(s.forms.Handler(mux), maxBody))
}

func (s *shop) show(w http.ResponseWriter, r *http.Request) {
	session := s.sessions.From(r.Context())
	token, err := s.forms.Token(r.Context())
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	message, err := sessionhttp.Pop(r.Context(), session, func(b *basket) *string { return &b.Message })
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store") // after the log-out, the back button must not show the basket
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	err = page.Execute(w, map[string]any{
		"User": session.Info.Subject, "Items": session.Read().Items, "Message": message, "Token": token,
	})
	if err != nil {
		log.Print("writing the page: ", err)
	}
}

func (s *shop) add(w http.ResponseWriter, r *http.Request) {
	item := r.PostFormValue("item")
	if item == "" {
		http.Error(w, "an item is wanted", http.StatusBadRequest)
		return
	}
	err := s.sessions.From(r.Context()).Update(r.Context(), func(b *basket) error {
		if b.Items == nil {
			b.Items = map[string]int{}
		}
		b.Items[item]++
		b.Message = item + " is in the basket."
		return nil
	})
	home(w, r, err)
}

// login gives the guest's session its user. A real shop asks for a password first.
func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	user := r.PostFormValue("user")
	if user == "" {
		http.Error(w, "a user is wanted", http.StatusBadRequest)
		return
	}
	_, err := s.sessions.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{Subject: user})
	home(w, r, err)
}

func (s *shop) logout(w http.ResponseWriter, r *http.Request) {
	home(w, r, s.sessions.End(w, r))
}

// home answers a form with a redirect: reloading the page then does not resend the form.
func home(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
