// Package handshake is what a program that measures scs and the server that it starts tell each other: the program
// writes a [Start] to the server's standard input, and the server answers with a [Ready] on its standard output. The
// server runs until its standard input ends.
package handshake

// SessionPath is where the server reads a session (GET) and reads and writes one (POST). Both answer with its data.
const SessionPath = "/session"

// Start says what the server is to do.
type Start struct {
	DatabaseURL string `json:"databaseUrl"`
	Connections int    `json:"connections"` // 0: as many as the URL says, or pgx by itself
	Sessions    int    `json:"sessions"`
	Data        string `json:"data"`
}

// Ready says that the server listens, and which sessions it has made.
type Ready struct {
	URL      string   `json:"url"`
	Cookies  []string `json:"cookies"` // one for each session, as in the header Cookie
	Versions string   `json:"versions"`
}
