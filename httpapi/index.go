package httpapi

import "github.com/go-json-experiment/json"

// index is the document at a listener's root: the service's name, and where to read more.
type index struct {
	Service       string `json:"service"`
	Listener      string `json:"listener"`
	Description   string `json:"description"`
	Documentation string `json:"documentation"`
}

func newIndex(listener string) (cacheable, error) {
	body, err := json.Marshal(index{
		Service: "Latchkey", Listener: listener, Description: descriptionPath,
		Documentation: "https://github.com/latchkey-sessions/latchkey",
	})
	return newCacheable(jsonType, body), err
}
