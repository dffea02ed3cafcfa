// Package rest stands in for that of client-go.
package rest

// Config would be how a cluster is reached.
type Config struct{}
