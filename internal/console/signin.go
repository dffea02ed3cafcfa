package console

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type signInPage struct {
	Next, Problem string
	// Link is the code of a link to use; empty for a form for keys.
	Link string
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request) error {
	if _, ok := c.operatorOf(r); ok {
		redirect(w, r, ownPath(r.URL.Query().Get("next")))
		return nil
	}
	return c.render(w, r, http.StatusOK, "sign-in", "Sign in", signInPage{Next: ownPath(r.URL.Query().Get("next"))})
}

// signIn accepts a key as in the settings, or only its secret.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	page := signInPage{Next: ownPath(r.PostFormValue("next"))}
	if !c.attempts.allows(httpapi.Origin(r.Context()).ClientIP) {
		return c.tooMany(w, r, page)
	}
	key, known := c.keyOf(strings.TrimSpace(r.PostFormValue("key")))
	switch {
	case !known:
		page.Problem = "That is not a service key of this Latchkey."
	case !key.Has(httpapi.RightOperator):
		page.Problem = "The key “" + key.Name + "” lacks the right “operator”."
	default:
		return c.begin(w, r, operatorWith(key), byKey, signedIn{Key: key.Fingerprint}, page.Next)
	}
	c.refused(r)
	return c.render(w, r, http.StatusForbidden, "sign-in", "Sign in", page)
}

// keyOf finds the secret in name:secret:rights, name:secret or secret.
func (c *Console) keyOf(text string) (httpapi.KeyInfo, bool) {
	name, rest, named := strings.Cut(text, ":")
	if !named {
		return c.keys.Key(text)
	}
	secret, _, _ := strings.Cut(rest, ":")
	key, known := c.keys.Key(secret)
	return key, known && key.Name == name
}

func (c *Console) tooMany(w http.ResponseWriter, r *http.Request, page signInPage) error {
	c.refused(r)
	w.Header().Set("Retry-After", attemptsRetryAfter)
	page.Problem = "Too many attempts from this address. Wait for a few seconds."
	return c.render(w, r, http.StatusTooManyRequests, "sign-in", "Sign in", page)
}

func (c *Console) refused(r *http.Request) {
	origin := httpapi.Origin(r.Context())
	c.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "an operator's sign-in was refused",
		slog.String("client", origin.ClientIP), slog.String("request_id", origin.RequestID))
}

// begin makes the operator's session.
func (c *Console) begin(w http.ResponseWriter, r *http.Request, o operator, prefix string, data signedIn, next string) error {
	if _, _, err := c.manager.Begin(w, o.acting(r), data, sessionstore.CreateParams{Subject: prefix + o.Name}); err != nil {
		return err
	}
	redirect(w, r, root+"/signed-in?"+url.Values{"next": {next}}.Encode())
	return nil
}

// signedIn finds out whether the browser keeps the cookies.
func (c *Console) signedIn(w http.ResponseWriter, r *http.Request) error {
	next := ownPath(r.URL.Query().Get("next"))
	if _, ok := c.operatorOf(r); ok {
		redirect(w, r, next)
		return nil
	}
	return c.render(w, r, http.StatusForbidden, "sign-in", "Sign in", signInPage{
		Next: next, Problem: "The browser did not keep the session's cookie. It does so over https, and at http://localhost.",
	})
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	if o, ok := c.operatorOf(r); ok {
		r = o.acting(r)
	}
	if err := c.manager.End(w, r); err != nil {
		return err
	}
	redirect(w, r, root+"/sign-in")
	return nil
}
