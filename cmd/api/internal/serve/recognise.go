package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/internal/recognised"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const signsOut = "restore it, or set LATCHKEY_ACCEPT_SIGN_OUT=true once to start anyway, which signs those users out"

// recognise refuses a configuration that would silently sign users out. The function that it returns periodically notes
// what this replica's tokens are recognised by. It matters less than requests do: if the database does not answer it,
// the service still starts.
func (s *service) recognise(ctx context.Context, db database.Pools, id identity, keys storedKeys, store *sessionstore.Store) (func(context.Context) error, error) {
	return s.recogniseOr(ctx, db, id, keys, store, func(err error) error {
		s.log.WarnContext(ctx, "cannot determine whether live sessions are recognised", "error", err)
		return nil
	})
}

// recogniseOr is recognise, and untold decides whether to continue if the outcome is unknown.
func (s *service) recogniseOr(ctx context.Context, db database.Pools, id identity, keys storedKeys, store *sessionstore.Store, untold func(error) error) (func(context.Context) error, error) {
	if err := s.checkSealer(ctx, db, store, id.sealer); err != nil {
		return nil, err
	}
	cfg, err := s.marks(id.ring, keys)
	if err != nil {
		return nil, err
	}
	lacks, err := recognised.Lacks(ctx, db.Tasks, cfg)
	if err != nil {
		if err := untold(err); err != nil {
			return nil, err
		}
	}
	if err := s.refuseUnrecognised(ctx, lacks); err != nil {
		return nil, err
	}
	if err := recognised.Drop(ctx, db.Tasks, lacks); err != nil {
		s.log.WarnContext(ctx, "cannot record that live sessions are not recognised", "error", err)
	}
	notNoted := func(err error) {
		s.log.WarnContext(ctx, "cannot record what sessions are recognised by", "error", err)
	}
	if cfg.StoredKeys { // their own table says what they are used for
		if err := recognised.Forget(ctx, db.Tasks, stored(cfg)); err != nil {
			notNoted(err)
		}
	}
	err = recognised.Note(ctx, db.Tasks, cfg) // before the first session is made under it
	if err != nil {
		notNoted(err)
	}
	return func(ctx context.Context) error {
		recognised.Keep(ctx, db.Tasks, cfg, err == nil, notNoted)
		return nil
	}, nil
}

// marks are what this replica's tokens are recognised by.
func (s *service) marks(ring *tokens.KeyRing, keys storedKeys) (recognised.Config, error) {
	accepted := append([]string{string(s.Audience)}, s.AudiencesAccepted...)
	cfg := recognised.Config{StoredKeys: keys.Store != nil, Clients: []string{string(s.ClientID)}, Used: []recognised.Mark{
		{Kind: recognised.Issuer, Value: s.publicURL()}, {Kind: recognised.Audience, Value: string(s.Audience)}, {Kind: recognised.Client, Value: string(s.ClientID)},
	}}
	for _, client := range s.clients.Store() {
		cfg.Clients = append(cfg.Clients, client.ID)
		cfg.Used = append(cfg.Used, recognised.Mark{Kind: recognised.Client, Value: client.ID})
		if len(client.Audiences) > 0 {
			cfg.Used = append(cfg.Used, recognised.Mark{Kind: recognised.Audience, Value: tokens.Audience(client.Audiences...)})
		}
		accepted = append(accepted, client.Audiences...)
	}
	cfg.AcceptsAudience = func(form string) bool {
		return slices.ContainsFunc(tokens.Audiences(form), func(name string) bool { return slices.Contains(accepted, name) })
	}
	fingerprints, err := ring.Fingerprints()
	if err != nil {
		return cfg, err
	}
	for _, key := range ring.Keys() {
		cfg.KeyIDs = append(cfg.KeyIDs, key.ID)
		mark := recognised.Mark{Kind: recognised.SigningKey, Value: key.ID + "." + fingerprints[key.ID]}
		if key.Signs && !cfg.StoredKeys {
			cfg.Used = append(cfg.Used, mark)
		} else {
			cfg.Known = append(cfg.Known, mark)
		}
	}
	keyset, err := s.Keyset()
	if err != nil {
		return cfg, err
	}
	if keyset != nil {
		for _, key := range keyset.Keys() {
			mark := recognised.Mark{Kind: recognised.DataKey, Value: key.ID}
			if key.Primary {
				cfg.Used = append(cfg.Used, mark)
			} else {
				cfg.Known = append(cfg.Known, mark)
			}
		}
	}
	if s.CompasSigningKey != "" {
		fingerprint, err := tokens.Secret(s.CompasSigningKey).Fingerprint()
		if err != nil {
			return cfg, err
		}
		cfg.Used = append(cfg.Used, recognised.Mark{Kind: recognised.CompasKey, Value: fingerprint})
	}
	return cfg, nil
}

// stored are the marks that the table of keys in PostgreSQL makes unnecessary.
func stored(cfg recognised.Config) []recognised.Mark {
	var marks []recognised.Mark
	for _, mark := range cfg.Known {
		if mark.Kind == recognised.SigningKey {
			marks = append(marks, mark)
		}
	}
	for _, id := range cfg.KeyIDs {
		marks = append(marks, recognised.Mark{Kind: recognised.DroppedKey, Value: id})
	}
	return marks
}

// refuseUnrecognised refuses to start without what live sessions are recognised by, unless that is
// intended.
func (s *service) refuseUnrecognised(ctx context.Context, lacks []recognised.Missing) error {
	var refused []string
	for _, m := range lacks {
		if m.Sessions == 0 && !m.Uncounted {
			continue
		}
		text := describe(m)
		switch {
		case m.Kind == recognised.Client:
			s.log.WarnContext(ctx, "live sessions belong to a client that is not configured: they keep what their rows say", "lacks", text)
		case m.Kind == recognised.Issuer && s.Issuer == "" && s.Private() && strings.HasPrefix(m.Value, "http:"): // it follows the port, and no setting was lost
			s.log.WarnContext(ctx, "the issuer differs from that of live sessions, so their users must sign in again: set LATCHKEY_ISSUER to keep it", "was", m.Value, "is", s.publicURL())
		case s.AcceptSignOut == "true":
			s.log.WarnContext(ctx, "LATCHKEY_ACCEPT_SIGN_OUT is set: live sessions are not recognised, and their users must sign in again", "lacks", text)
		default:
			refused = append(refused, text)
		}
	}
	if refused == nil {
		return nil
	}
	return errors.New("live sessions would not be recognised: this configuration lacks " + strings.Join(refused, "; ") + "; " + signsOut)
}

// describe says what is missing, in terms of the settings.
func describe(m recognised.Missing) string {
	name := m.Value
	setting := map[recognised.Kind]string{
		recognised.SigningKey: "LATCHKEY_SIGNING_KEYS_FILE", recognised.Issuer: "LATCHKEY_ISSUER",
		recognised.Audience: "LATCHKEY_AUDIENCE, LATCHKEY_AUDIENCES_ACCEPTED or LATCHKEY_CLIENTS_FILE", recognised.CompasKey: "LATCHKEY_COMPAS_SIGNING_KEY",
		recognised.Client: "LATCHKEY_CLIENT_ID or LATCHKEY_CLIENTS_FILE", recognised.DataKey: "LATCHKEY_DATA_ENCRYPTION_KEYSET: their data cannot be opened",
	}[m.Kind]
	switch {
	case m.Stored:
		setting = "LATCHKEY_KEY_ENCRYPTION_KEY: the key is in the database"
	case m.Kind == recognised.SigningKey:
		name = name[:strings.LastIndexByte(name, '.')]
	}
	sessions := strconv.Itoa(m.Sessions)
	switch {
	case m.Uncounted:
		sessions = "an unknown number of"
	case m.Sessions >= recognised.MostCounted:
		sessions = "at least " + sessions
	}
	return fmt.Sprintf("the %s %q (%s), in use since %s, of %s live session(s)", m.Kind, name, setting, m.Since.UTC().Format(time.RFC3339), sessions)
}

// checkSealer refuses to start without the key of live sessions' data, unless that is
// intended.
func (s *service) checkSealer(ctx context.Context, db database.Pools, store *sessionstore.Store, sealer sessionstore.Sealer) error {
	if sealer != nil {
		s.log.InfoContext(ctx, "session data is sealed", "key", sealer.Key())
	}
	unopened, ok := errors.AsType[*sessionstore.SealedError](store.CheckSealer(ctx))
	if !ok {
		return nil
	}
	dropped, err := recognised.IsDropped(ctx, db.Tasks, unopened.Key)
	if err != nil || !dropped && s.AcceptSignOut != "true" {
		return fmt.Errorf("live sessions could not be served: LATCHKEY_DATA_ENCRYPTION_KEYSET lacks a key (%w); restore it, or set LATCHKEY_ACCEPT_SIGN_OUT=true once to start anyway: requests for such sessions are answered with 503", unopened)
	}
	s.log.ErrorContext(ctx, "sealed session data cannot be opened: LATCHKEY_DATA_ENCRYPTION_KEYSET lacks a key, and requests for such sessions are answered with 503", "error", unopened)
	if dropped {
		return nil
	}
	mark := recognised.Mark{Kind: recognised.DroppedDataKey, Value: unopened.Key}
	if err := recognised.Note(ctx, db.Tasks, recognised.Config{Used: []recognised.Mark{mark}}); err != nil {
		s.log.WarnContext(ctx, "cannot record that sealed data cannot be opened", "error", err)
	}
	return nil
}
