// Package clients has no code: its tests run other people's clients, as they
// are, against the built service.
//
// It is a module of its own, so that nobody who imports Latchkey gets the
// requirements of these clients.
package clients
