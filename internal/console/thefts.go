package console

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type theftsPage struct {
	Thefts []sessionstore.LeakReport
	Older  string
}

func (c *Console) thefts(w http.ResponseWriter, r *http.Request, _ operator) error {
	found, err := c.cfg.Sessions.Thefts(r.Context(), sessionstore.ListParams{Cursor: r.URL.Query().Get("cursor"), Limit: listLimit})
	if err != nil {
		return err
	}
	page := theftsPage{Thefts: found.Thefts}
	if found.NextCursor != "" {
		page.Older = root + "/thefts?" + url.Values{"cursor": {found.NextCursor}}.Encode()
	}
	return c.render(w, r, http.StatusOK, "thefts", "Thefts", page)
}

type theftPage struct {
	sessionstore.LeakReport

	// IsKnown is false for a theft detected by an earlier release.
	IsKnown bool
	// Holder is the party with the newest tokens, shown next to PresentedBy.
	Holder  sessionstore.Client
	Verdict verdict
	Moments []moment
}

func (c *Console) theft(w http.ResponseWriter, r *http.Request, _ operator) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	report, err := c.cfg.Sessions.Theft(r.Context(), id)
	if err != nil {
		return err
	}
	page := theftPage{LeakReport: report, IsKnown: !report.SessionCreatedAt.IsZero(), Holder: report.RefreshedBy}
	if page.Holder == (sessionstore.Client{}) {
		page.Holder = report.CreatedBy
	}
	page.Verdict, page.Moments = compare(page.Holder, report.PresentedBy), momentsOf(report, page.Holder)
	return c.render(w, r, http.StatusOK, "theft", "Theft", page)
}

// verdict compares what is known about the two parties.
type verdict struct{ Title, Text string }

func compare(a, b sessionstore.Client) verdict {
	sameProgram, sameAddress := a.UserAgent == b.UserAgent, a.IP == b.IP
	switch {
	case a.IP == "" || b.IP == "":
		return verdict{"One of the two is not known well enough to compare them.", "Ask the user where they were signed in."}
	case sameProgram && sameAddress:
		return verdict{
			"Both look like the same client.",
			"Same program, same address: often this is not a thief, but a client that lost its newest token. It was restored from a backup, its profile was copied, or two of its processes share one token. Ask the user before you alarm them.",
		}
	case sameProgram && sameNetwork(a.IP, b.IP):
		return verdict{"Both look like the same client, in one network.", "The same program, at two addresses of one network: a device whose address changed and which lost its newest token, or a copy of it nearby."}
	case sameProgram:
		return verdict{"The same program, in two places.", "A device that moved and lost its newest token, or a copy of it elsewhere. If the user was not in both places, treat it as a theft."}
	default:
		return verdict{"Two different clients.", "One of them has a token that was made for the other. Treat it as a theft: tell the user, and find out how the token leaked."}
	}
}

// sameNetwork reports whether two addresses are of one /24, or one /48.
func sameNetwork(a, b string) bool {
	first, errFirst := netip.ParseAddr(a)
	second, errSecond := netip.ParseAddr(b)
	if errFirst != nil || errSecond != nil {
		return false
	}
	bits := 48
	if first.Is4() {
		bits = 24
	}
	network, err := first.Prefix(bits)
	return err == nil && network.Contains(second)
}

// moment is something that happened, in words for readers who do not know the protocol.
type moment struct {
	At     time.Time
	Text   string
	Client sessionstore.Client
	// Party is "holder" or "presenter", for the two colors, or empty.
	Party string
}

func momentsOf(r sessionstore.LeakReport, holder sessionstore.Client) []moment {
	if r.SessionCreatedAt.IsZero() {
		return []moment{{At: r.DetectedAt, Text: "An old token came back. The session was ended."}}
	}
	moments := []moment{
		{At: r.SessionCreatedAt, Text: "The user signed in.", Client: r.CreatedBy},
		{At: r.PresentedIssuedAt, Text: "The token that came back later was made. At that time it was in the right hands."},
		{At: r.RotatedAt, Text: "It was exchanged for a newer one, as is usual. From then on its owner had no reason to use it any more.", Client: holder, Party: "holder"},
	}
	if r.IssuedAt.Sub(r.RotatedAt) > time.Second {
		moments = append(moments, moment{At: r.IssuedAt, Text: "The newest tokens were handed out once more.", Client: holder, Party: "holder"})
	}
	if !r.ConfirmedAt.IsZero() {
		moments = append(moments, moment{At: r.ConfirmedAt, Text: "The newest tokens were in use, so the client that requested them had received them.", Client: holder, Party: "holder"})
	}
	moments = append(moments, moment{
		At: r.DetectedAt, Text: "The old token came back. Two parties had tokens of one session, so the session was ended at once, for both.", Client: r.PresentedBy, Party: "presenter",
	})
	// A token's own time is in whole seconds, and may seem earlier than its cause.
	slices.SortStableFunc(moments, func(a, b moment) int { return a.At.Truncate(time.Second).Compare(b.At.Truncate(time.Second)) })
	return moments
}
