// Package clients has no code: its tests run other people's clients, unmodified, against the built service.
//
// It is a separate module, so that programs that import Latchkey do not inherit
// the requirements of these clients.
package clients
