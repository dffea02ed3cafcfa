package sessionhttp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
)

// FormField is the form field, and FormHeader the header, that carries a form's token.
const (
	FormField  = "csrf_token"
	FormHeader = "X-CSRF-Token"
)

const formSecretBytes = 32

// Forms puts a token into forms that only pages of the session have. It is a second line of
// defence: [Cookies].Protection already checks where a request comes from, and for today's
// browsers that is enough.
//
// The token is made of a secret in the session's data and of the session's id, so a token from
// a guest's page is of no use once the guest has signed in. It looks different each time, so
// that compressed pages do not reveal it.
type Forms[T any] struct {
	manager *Manager[T]
	secret  func(*T) *[]byte
}

// NewForms returns the forms of a manager's sessions. secret points to its place in the
// session's data: it is filled in when it is needed, and must be in no response.
func NewForms[T any](manager *Manager[T], secret func(*T) *[]byte) *Forms[T] {
	return &Forms[T]{manager: manager, secret: secret}
}

// Token returns the token for the forms of a page. It is the value of a hidden field named
// [FormField], or what a script sends as [FormHeader]; with htmx it goes into hx-headers on the
// body. Without a session it is empty. The first one of a session is stored at once, and so begins
// the session of a visitor: see [Config].Anonymous.
func (f *Forms[T]) Token(ctx context.Context) (string, error) {
	s := f.manager.From(ctx)
	if s == nil {
		return "", nil
	}
	sum := f.sum(s)
	if sum == nil {
		err := s.Update(ctx, func(data *T) error {
			if secret := f.secret(data); len(*secret) != formSecretBytes { // another page may have been faster
				*secret = random(formSecretBytes)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		if err := s.Save(ctx); err != nil {
			return "", err
		}
		sum = f.sum(s)
	}
	mask := random(len(sum))
	subtle.XORBytes(sum, sum, mask)
	return base64.RawURLEncoding.EncodeToString(append(mask, sum...)), nil
}

// Handler wraps a handler below [Manager.Handler]: it serves unsafe requests of a session only with a token
// of that session, and passes others to [Config].OnError with [ErrFormToken]. Requests without a session
// pass: they can do nothing in a user's name.
//
// Without the header, the form is read for the field: limit its size before.
func (f *Forms[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := f.manager.From(r.Context())
		if s != nil && !s.Visiting() && !safe(r.Method) && !f.has(s, r) {
			f.manager.cfg.OnError(w, r, ErrFormToken)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// safe is RFC 9110 §9.2.1.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || method == http.MethodTrace
}

func (f *Forms[T]) has(s *Session[T], r *http.Request) bool {
	token := r.Header.Get(FormHeader)
	if token == "" {
		token = r.PostFormValue(FormField)
	}
	sum := f.sum(s)
	given, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || sum == nil || len(given) != 2*len(sum) {
		return false
	}
	mask, masked := given[:len(sum)], given[len(sum):]
	subtle.XORBytes(masked, masked, mask)
	return hmac.Equal(masked, sum)
}

// sum returns what the session's tokens mask, or nil before the first one.
func (f *Forms[T]) sum(s *Session[T]) []byte {
	data := s.Read()
	secret := *f.secret(&data)
	if len(secret) != formSecretBytes {
		return nil
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(s.id.Load()[:])
	return mac.Sum(nil)
}

func random(n int) []byte {
	bytes := make([]byte, n)
	_, _ = rand.Read(bytes) // it never fails
	return bytes
}
