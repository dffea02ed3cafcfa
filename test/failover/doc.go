// Package failover has no code: its tests run the service on three PostgreSQLs under Patroni,
// behind what people put before them, and take the primary away. It is a module of its own
// since it needs programs that only Debian's packages have.
package failover
