package httpapi

import (
	"context"

	"github.com/latchkey-sessions/latchkey/audit"
)

// Origin says who sent the request that is being answered, for an audit trail:
// see [audit.Config].Origin. Behind the internal listener it is a service key. On
// the public one it is the user whose session is changed: it can be no other. On the
// operators' page it is the operator named with [audit.WithOrigin]. In any other context it is
// [audit.OriginOf].
func Origin(ctx context.Context) audit.Origin {
	info, ok := ctx.Value(requestInfoKey{}).(*requestInfo)
	if !ok {
		return audit.OriginOf(ctx)
	}
	o := audit.Origin{
		Actor:    audit.Actor{Type: audit.Subject, SessionID: info.session, Act: info.actor},
		ClientIP: info.client, RequestID: info.id,
	}
	if named := audit.OriginOf(ctx).Actor; named.Type != audit.System {
		o.Actor = named
	}
	if info.serviceKey != "" {
		o.Actor = audit.Actor{Type: audit.ServiceKey, ID: info.serviceKey}
	}
	return o
}
