package testdb

import (
	"context"
	"time"
)

const (
	startPatience = 2 * time.Minute // a container's image may have to be fetched
	endPatience   = 30 * time.Second
)

// server is a PostgreSQL server that we run.
type server interface {
	// URL stays the same when the server is stopped and started again.
	URL(database string) string
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	// Kill ends it without any warning.
	Kill(ctx context.Context) error
	// Remove ends it, if it still runs, and removes its data.
	Remove(ctx context.Context) error
	// Standby starts a server that does not follow any yet, from a copy of this one, which must be
	// stopped.
	Standby(ctx context.Context) (server, error)
	// PeerURL is the server's URL for its standby.
	PeerURL(ctx context.Context) (string, error)
}

// equip gives a new server what tests need.
func equip(ctx context.Context, url string) error {
	if err := speedUp(ctx, url); err != nil {
		return err
	}

	return migrate(ctx, url)
}

func baseSettings() map[string]string {
	return map[string]string{
		"fsync":            "off", // the machine may not crash, the server may
		"full_page_writes": "off",
		"max_connections":  "300",
		"wal_init_zero":    "off", // a file of the WAL need not have its blocks in advance
		// Shared memory lies next to the data, and is removed with it: nothing removes what a killed server leaves
		// elsewhere.
		"dynamic_shared_memory_type": "mmap",
	}
}

// standbySlot is the replication slot for which the primary keeps what the standby has not received.
const standbySlot = "standby"

func standbySettings() map[string]string {
	settings := baseSettings()
	settings["wal_retrieve_retry_interval"] = "100ms" // how soon it looks for its primary again
	settings["primary_slot_name"] = standbySlot
	return settings
}
