package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Push sends a Security Event Token once (RFC 8935), with a value for the Authorization header
// unless that is empty. Only 202 accepts it (§2.2). If the answer says what is wrong with the
// token (§2.3), the error has its code.
func (c *Client) Push(ctx context.Context, to string, authorization tokens.Secret, set []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(set))
	if err != nil {
		return withoutURL(err)
	}
	request.Header.Set("Content-Type", "application/secevent+jwt")
	request.Header.Set("Accept", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", string(authorization))
	}
	answered, err := c.do(request)
	status := answered.status
	switch {
	case err != nil:
		return err
	case status == http.StatusAccepted:
		return nil
	case status < 400:
		return c.refusal(answered, fmt.Sprintf("answered %d, which is not 202", status))
	}
	var refused struct {
		Code string `json:"err"`
	}
	if status == http.StatusBadRequest && json.Unmarshal(answered.body, &refused) == nil && errorCode.MatchString(refused.Code) {
		return c.refusal(answered, fmt.Sprintf("answered %d: %s", status, refused.Code))
	}
	return c.refusal(answered, fmt.Sprintf("answered %d", status))
}

// errorCode is the form of registered codes (RFC 8935 §7.1). Text next to it, which
// may repeat anything, is left out.
var errorCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
