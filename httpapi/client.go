package httpapi

// newClient is what a creation says about the client.
type newClient struct {
	Label     described `json:"label"`
	UserAgent described `json:"user_agent"`
	IP        described `json:"ip"`
}

// clientPatch is what may be changed in a client's description. null changes nothing.
type clientPatch struct {
	Label *described `json:"label"` // null leaves it unchanged
}

// described is a description of a client. It decides nothing, so it is never a
// reason to refuse: null, which frameworks write for unknown values, is as good as
// none.
type described string
