package serve

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// againPause is how often a file with secrets is checked: a key that was removed from it is refused after at most
// that time.
const againPause = 5 * time.Second

// followServiceKeys rereads the keys when their file changes or on a signal. If a file holds no usable keys,
// the present ones stay in use: it may be half written.
func (s *service) followServiceKeys(id identity, server *httpapi.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		if id.serviceKeysFile == "" {
			return s.readNothing(ctx)
		}
		var failure string
		for keys := id.serviceKeys; ; {
			told, ok := s.awaitAgain(ctx)
			if !ok {
				return nil
			}
			next, err := settings.ReadServiceKeys(id.serviceKeysFile)
			if err == nil {
				err = server.SetServiceKeys(next)
			}
			switch {
			case err != nil && (told || err.Error() != failure):
				s.log.ErrorContext(ctx, "the service keys cannot be read again: the previous ones stay in use", "error", err)
				failure = err.Error()
			case err == nil && (told || !slices.EqualFunc(keys, next, settings.SameKey)):
				s.log.InfoContext(ctx, "the service keys were read again", "names", next.Names())
				fallthrough
			case err == nil:
				keys, failure = next, ""
			}
		}
	}
}

// readNothing answers requests to reread when there is nothing to reread.
func (s *service) readNothing(ctx context.Context) error {
	for {
		told, ok := s.awaitAgain(ctx)
		if !ok {
			return nil
		}
		if told {
			s.log.InfoContext(ctx, "there are no service keys to read again: LATCHKEY_SERVICE_KEYS_FILE is not set")
		}
	}
}

// awaitAgain waits until it is time, or a reread is requested; ok is false when ctx has ended.
func (s *service) awaitAgain(ctx context.Context) (told, ok bool) {
	select {
	case <-ctx.Done():
		return false, false
	case <-s.readAgain:
		return true, true
	case <-time.After(againPause):
		return false, true
	}
}

// leakWebhook is where reports go. A secret from a file is read for each delivery: there are few.
func (s *service) leakWebhook() jobs.Webhook {
	hook := jobs.Webhook{URL: string(s.LeakWebhookURL), Secret: tokens.Secret(s.LeakWebhookSecret)}
	if read := s.environment.Again("LATCHKEY_LEAK_WEBHOOK_SECRET"); read != nil {
		hook.Again = func() (tokens.Secret, error) {
			secret, err := read()
			return tokens.Secret(secret), err
		}
	}
	return hook
}
