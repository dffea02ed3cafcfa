// Package failover has no code: its tests run the service on three PostgreSQLs under Patroni,
// behind what is commonly put in front of them, and take the primary away. It is a separate
// module because it needs programs that only Debian's packages have.
package failover
