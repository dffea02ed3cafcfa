package sessionhttp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
)

// ErrFormToken says that a request that is not safe has no token of its session's forms.
var ErrFormToken = errors.New("a request without the form's token")

// FormField is the form field, and FormHeader the header, that has a form's token.
const (
	FormField  = "csrf_token"
	FormHeader = "X-CSRF-Token"
)

const formSecretBytes = 32

// Forms puts a token into forms that only pages of the session have. It is a second wall: from
// where a request comes, [Cookies].Protection checks before, and for browsers of today that is
// enough.
//
// The token is made of a secret in the session's data and of the session's id, so one that a
// guest's page had is of no use once they are signed in. It looks different each time, so that
// compressed pages do not give it away.
type Forms[T any] struct {
	manager *Manager[T]
	secret  func(*T) *[]byte
}

// NewForms returns the forms of a manager's sessions. The secret is where the session's data has
// it: it is filled in when it is needed, and belongs into no answer.
func NewForms[T any](manager *Manager[T], secret func(*T) *[]byte) *Forms[T] {
	return &Forms[T]{manager: manager, secret: secret}
}

// Token is for the forms of a page. It is the value of a hidden field named [FormField], or what a
// script sends as [FormHeader]; with htmx it is in an hx-headers of the body. Without a session
// it is empty. The first one of a session is stored at once, and so begins the session of a
// visitor: see [Config].Anonymous.
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

// Handler wraps a handler below [Manager.Handler]: requests of a session that may change something
// are served with a token of it, and others given to [Config].OnError with [ErrFormToken]. Requests without
// a session pass: they can do nothing in anybody's name.
//
// Where there is no header, the form is read for the field: bound its size before.
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

// sum is what the session's tokens hide, or nil before the first one.
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
	_, _ = rand.Read(bytes) // it does not fail
	return bytes
}
