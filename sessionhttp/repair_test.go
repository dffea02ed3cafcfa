package sessionhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Stored data that does not decode is an error that is logged by its member, without the data.
func TestDataOfAnotherShape(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	k.behindItsBack(t.Context(), t, `"no list"`)
	if w := k.serve(t, nil); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "items") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if got := log.String(); !strings.Contains(got, k.session.ID.String()) || !strings.Contains(got, `\"items\"`) || strings.Contains(got, "no list") {
		t.Errorf("the log is %q", got)
	}
}

// Such a session ends with a log-out, and with another login, whatever the hook returns for
// it.
func TestEndOfDataThatDoesNotDecode(t *testing.T) {
	t.Parallel()
	var log logs
	for name, repair := range map[string]func(context.Context, sessionstore.Session, error) ([]byte, error){
		"no hook":       nil,
		"hook gives up": func(context.Context, sessionstore.Session, error) ([]byte, error) { return nil, errors.New("broken") },
	} {
		k := setup(t, sessionhttp.Config{Logger: log.logger(), Repair: repair})
		for how, end := range map[string]func(http.ResponseWriter, *http.Request) error{
			"log-out": k.manager.End,
			"login": func(w http.ResponseWriter, r *http.Request) error {
				_, _, err := k.manager.Begin(w, r, cart{}, sessionstore.CreateParams{})
				return err
			},
		} {
			_, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"items":7}`)})
			if err != nil {
				t.Fatal(err)
			}
			k.access = string(pair.AccessToken)
			if err := end(httptest.NewRecorder(), k.request(t)); err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			if _, _, err := k.store.Get(t.Context(), k.access); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("%s, %s: the session: %v", name, how, err)
			}
		}
	}
}

// The hook migrates such data, starts over, ends the session, or gives up.
func TestRepair(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		data   string
		err    error
		status int
		stored string
	}{
		"migrated":      {`{"items": ["no list"]}`, nil, 200, `{"items": ["no list", "milk"]}`},
		"anew":          {`{}`, nil, 200, `{"items": ["milk"]}`},
		"ended":         {``, sessionstore.ErrEnded, 401, `{"items": "no list"}`},
		"given up":      {``, broken, 500, `{"items": "no list"}`},
		"no good again": {`{"items": 1}`, nil, 500, `{"items": "no list"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logs
			k := setup(t, sessionhttp.Config{
				Logger: log.logger(),
				Repair: func(_ context.Context, session sessionstore.Session, err error) ([]byte, error) {
					if session.Subject != "ann" || !strings.Contains(string(session.Data), "no list") || err == nil {
						t.Errorf("the hook was asked about %s of %q: %v", session.Data, session.Subject, err)
					}
					return []byte(test.data), test.err
				},
			})
			k.behindItsBack(t.Context(), t, `"no list"`)
			w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
				if err := k.manager.From(r.Context()).Update(r.Context(), put("milk")); err != nil {
					t.Error(err)
				}
			})
			if diff := cmp.Diff(test.stored, k.stored(t)); w.Code != test.status || diff != "" {
				t.Errorf("%d, %s", w.Code, diff)
			}
			if _, _, err := k.store.Get(t.Context(), k.access); errors.Is(err, sessionstore.ErrEnded) != errors.Is(test.err, sessionstore.ErrEnded) {
				t.Errorf("the session: %v", err)
			}
			if got := log.String(); !strings.Contains(got, "does not decode") || strings.Contains(got, "broken") != errors.Is(test.err, broken) {
				t.Errorf("the log is %q", log.String())
			}
		})
	}
}

// Data that another replica repairs meanwhile stays as repaired.
func TestRepairAtOnce(t *testing.T) {
	t.Parallel()
	var k kit
	var log logs
	k = setup(t, sessionhttp.Config{Logger: log.logger(), Repair: func(ctx context.Context, _ sessionstore.Session, _ error) ([]byte, error) {
		k.behindItsBack(ctx, t, `["by another"]`)
		return []byte(`{}`), nil
	}})
	k.behindItsBack(t.Context(), t, `"no list"`)
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(k.manager.From(r.Context()).Read().Items[0]))
	})
	if w.Code != http.StatusOK || w.Body.String() != "by another" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Data that another program stores in a different shape while a request is in progress.
func TestShapeChangesMeanwhile(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if err := k.manager.From(r.Context()).Update(r.Context(), put("milk")); err != nil {
			t.Error(err)
		}
		k.behindItsBack(r.Context(), t, `"no list"`)
	})
	if w.Code != http.StatusConflict || !strings.Contains(log.String(), "was not stored") || k.stored(t) != `{"items": "no list"}` {
		t.Errorf("%d, %s, %q", w.Code, k.stored(t), log.String())
	}
}
