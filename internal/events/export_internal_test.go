package events

import (
	"maps"
	"slices"
)

// SetMost sets how many events of a kind are derived in one transaction.
func (r *Runner) SetMost(n int) { r.most = n }

// Failing is how much of what repeats cannot be done.
func (r *Runner) Failing() int { return int(r.failing.Load()) }

// DeriveOnce derives what one transaction takes, and reports whether there is more.
var DeriveOnce = (*Runner).derive

// Queries are the package's statements.
var Queries = map[string]string{
	"begin": beginQuery, "position": positionQuery, "movePosition": movePositionQuery, "restart": restartQuery, "derive": deriveQuery,
	"claim": claimQuery, "delivered": deliveredQuery, "failed": failedQuery, "release": releaseQuery, "forget": forgetQuery, "abandon": abandonQuery, "nearer": nearerQuery,
	"status": statusQuery, "dead": deadQuery, "resend": resendQuery,
}

// CAEPCauses are the reasons that CAEP's events have words for.
func CAEPCauses() (reasons []string) { return slices.Collect(maps.Keys(causes)) }
