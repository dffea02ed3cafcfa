// Package limits has the smallest servers that could answer a refresh: what they cost is what HTTP and a signature check
// cost at the least, whoever does them.
package limits

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
)

// Argument makes this program a server of limits instead, as its only argument: it has to be a process of its own, as
// the service is.
const Argument = "limit-server"

// Paths of the server's handlers.
const (
	EdDSA = "/eddsa"
	HS256 = "/hs256"
)

// keys are handed to the server on its standard input.
type keys struct {
	Public []byte `json:"public"`
	Key    []byte `json:"key"`
	// Answer is what is answered each time.
	Answer []byte `json:"answer"`
}

// addresses are what the server writes on its standard output.
type addresses struct {
	Bare string `json:"bare"`
	Chi  string `json:"chi"`
}

// Server is a server of limits in a process of its own.
type Server struct {
	// Bare is the address of a handler that does nothing but answer; Chi that of a chi router, on which EdDSA and HS256
	// check the signature of a form's refresh_token with golang-jwt.
	Bare, Chi string
	// Tokens are one for each path.
	Tokens map[string]string

	cmd   *exec.Cmd
	input io.Closer
}

// Start runs this program as a server that answers with so many bytes, and makes tokens with the given claims for it.
func Start(ctx context.Context, answer []byte, claims jwt.Claims) (*Server, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	s := &Server{Tokens: make(map[string]string)}
	for path, key := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{EdDSA: {jwt.SigningMethodEdDSA, private}, HS256: {jwt.SigningMethodHS256, secret}} {
		if s.Tokens[path], err = jwt.NewWithClaims(key.method, claims).SignedString(key.key); err != nil {
			return nil, err
		}
	}

	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, self, Argument) //nolint:gosec // it is this program
	s.cmd.Stderr = os.Stderr
	input, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.input = input
	if err := json.NewEncoder(input).Encode(keys{Public: public, Key: secret, Answer: answer}); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	var at addresses
	if err := json.NewDecoder(bufio.NewReader(output)).Decode(&at); err != nil {
		return nil, errors.Join(fmt.Errorf("the server of limits does not say where it is: %w", err), s.Stop())
	}
	s.Bare, s.Chi = at.Bare, at.Chi

	return s, nil
}

// Pid returns the process' number.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Stop ends the server, which ends with its standard input.
func (s *Server) Stop() error {
	return errors.Join(s.input.Close(), s.cmd.Wait())
}

// Serve is the process of a [Server]: it serves until its input ends.
func Serve(input io.Reader, output io.Writer) error {
	in := json.NewDecoder(input)
	var k keys
	if err := in.Decode(&k); err != nil {
		return err
	}
	bare, err := serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, k.Answer) }))
	if err != nil {
		return err
	}
	router, err := serve(routes(k))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(output).Encode(addresses{Bare: bare, Chi: router}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, input)

	return err
}

func serve(handler http.Handler) (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with the process

	return listener.Addr().String(), nil
}

func routes(k keys) *chi.Mux {
	r := chi.NewRouter()
	for path, check := range map[string]struct {
		method string
		key    any
	}{EdDSA: {"EdDSA", ed25519.PublicKey(k.Public)}, HS256: {"HS256", k.Key}} {
		parser := jwt.NewParser(jwt.WithValidMethods([]string{check.method}), jwt.WithExpirationRequired())
		key := func(*jwt.Token) (any, error) { return check.key, nil } //nolint:unparam // the parser's type
		r.Post(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := parser.ParseWithClaims(r.PostFormValue("refresh_token"), &jwt.RegisteredClaims{}, key); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			answer(w, k.Answer)
		})
	}

	return r
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone away
}
