// Package clients has no code: its tests run other people's clients, as they
// are, against the built service.
//
// It is a module of its own, so that programs that import Latchkey do not get the
// requirements of these clients.
package clients
