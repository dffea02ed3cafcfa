package httpapi

import "github.com/go-json-experiment/json"

// index tells visitors of a listener's root what it is, and where to read more.
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
