package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	eventsFile = "LATCHKEY_EVENTS_FILE"
	eventsForm = `a JSON array of endpoints such as [{"name": "crm", "url": "https://crm.example.com/latchkey", "secret_file": "/run/secrets/crm", "types": ["session.ended"], "clients": ["agent"]}], of which each has a name, a url, a secret or a secret_file, and what it needs of the rest; or with "format": "set" and an audience`
)

// endpoint is one of those that events are sent to, as the file has it.
type endpoint struct {
	Name       *string        `json:"name"`
	URL        *string        `json:"url"`
	Format     *events.Format `json:"format"`
	Audience   *string        `json:"audience"`
	Secret     *tokens.Secret `json:"secret"`
	SecretFile *string        `json:"secret_file"`
	Types      []events.Type  `json:"types"`
	Clients    []string       `json:"clients"`
}

// Events reads LATCHKEY_EVENTS_FILE. There are no endpoints if it is not set. The clients
// are those in addition to the one of LATCHKEY_CLIENT_ID. The files are those that secrets were read
// from.
func (s *Serve) Events(clients Clients) (endpoints []events.Endpoint, files []string, err error) {
	if s.EventsFile == "" {
		return nil, nil, nil
	}
	files = []string{string(s.EventsFile)} // even if its secrets are in separate files: addresses are secrets, too
	content, err := secretfile.Read(files[0])
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be read: %w", eventsFile, err)
	}
	var list []endpoint
	if err := json.Unmarshal(content, &list, json.RejectUnknownMembers(true), json.WithUnmarshalers(json.UnmarshalFromFunc(refuseNull))); err != nil {
		return nil, nil, wrongFile(eventsFile, jsonProblem(err, "endpoint"), eventsForm)
	}
	ids := []string{string(s.ClientID)}
	for _, c := range clients {
		ids = append(ids, *c.ID)
	}
	var names []string
	endpoints = make([]events.Endpoint, len(list))
	for i, e := range list {
		if err := e.check(fmt.Sprintf("/%d", i), names, ids); err != nil {
			return nil, nil, err
		}
		names = append(names, *e.Name)
		endpoints[i] = events.Endpoint{Name: *e.Name, URL: tokens.Secret(*e.URL), Format: e.format(), Types: e.Types, Clients: e.Clients}
		if e.Audience != nil {
			endpoints[i].Audience = *e.Audience
		}
		if e.Secret == nil && e.SecretFile == nil {
			continue
		}
		endpoints[i].Secret = e.secret
		if _, err := e.secret(); err != nil {
			return nil, nil, wrongFile(eventsFile, fmt.Sprintf("/%d/secret_file: %v", i, err), "a file that holds "+e.secretForm())
		}
		if e.SecretFile != nil {
			files = append(files, *e.SecretFile)
		}
	}
	return endpoints, files, nil
}

// check says what is wrong with a JSON pointer, and reveals no secret.
func (e *endpoint) check(at string, names, ids []string) error {
	switch {
	case e.Name == nil:
		return wrongFile(eventsFile, at+"/name, which is missing", "a name, which deliveries and metrics have")
	case !isText(*e.Name) || len(*e.Name) > maxEndpointName:
		return wrongFile(eventsFile, at+"/name, which is "+Quote(*e.Name), fmt.Sprintf("text of up to %d bytes without control characters and without space around it", maxEndpointName))
	case slices.Contains(names, *e.Name):
		return wrongFile(eventsFile, at+"/name, which is "+Quote(*e.Name)+" again", "a name that no other endpoint has")
	case e.URL == nil || !isWebhookURL(*e.URL):
		return wrongFile(eventsFile, at+"/url, which is missing or not an address that events can be sent to", webhookURLForm)
	case e.Format != nil && !slices.Contains(events.Formats(), *e.Format):
		return wrongFile(eventsFile, at+"/format, which is "+Quote(string(*e.Format)), fmt.Sprintf("one of %v", events.Formats()))
	case e.Secret != nil && e.SecretFile != nil, e.Secret == nil && e.SecretFile == nil && e.format() == events.FormatWebhook:
		return wrongFile(eventsFile, at+", which has no secret, or a secret and a secret_file", "an endpoint with one of them")
	case e.Secret != nil && !e.isSecret(string(*e.Secret)):
		return wrongFile(eventsFile, at+"/secret, which is not usable", e.secretForm())
	case (e.Audience != nil) != (e.format() == events.FormatSET), e.Audience != nil && !isText(*e.Audience):
		return wrongFile(eventsFile, at+"/audience, which is missing, not usable or for another format", `whom Security Event Tokens are for, such as https://app.example.com, with "format": "set" alone`)
	case e.Types != nil && len(e.Types) == 0, e.Clients != nil && len(e.Clients) == 0:
		return wrongFile(eventsFile, at+", which has an empty list", "left out for all types, or all clients")
	}
	for i, kind := range e.Types {
		if types := e.format().Types(); !slices.Contains(types, kind) {
			return wrongFile(eventsFile, fmt.Sprintf("%s/types/%d, which is %s", at, i, Quote(string(kind))), fmt.Sprintf("one of %v", types))
		}
	}
	for i, id := range e.Clients {
		if !slices.Contains(ids, id) {
			return wrongFile(eventsFile, fmt.Sprintf("%s/clients/%d, which is %s", at, i, Quote(id)), "LATCHKEY_CLIENT_ID or a client_id of LATCHKEY_CLIENTS_FILE")
		}
	}
	return nil
}

// maxEndpointName keeps metric labels short.
const maxEndpointName = 64

func (e *endpoint) format() events.Format {
	if e.Format == nil {
		return events.FormatWebhook
	}
	return *e.Format
}

func (e *endpoint) secretForm() string {
	if e.format() == events.FormatSET {
		return `a value for the Authorization header, such as "Bearer" and a token`
	}
	return webhookSecretForm
}

func (e *endpoint) isSecret(text string) bool {
	if e.format() == events.FormatSET {
		return isText(text) && text != ""
	}
	return isWebhookSecret(text)
}

// secret reads the secret, from its file each time: it may have been replaced.
func (e *endpoint) secret() (tokens.Secret, error) {
	if e.Secret != nil {
		return *e.Secret, nil
	}
	content, err := secretfile.Read(*e.SecretFile)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(content))
	if !e.isSecret(text) {
		return "", errors.New("it is not usable")
	}
	return tokens.Secret(text), nil
}
