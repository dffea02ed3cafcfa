-- When autovacuum processes the two tables, chosen by measurement
-- (storage_test.go, and docs/operations.md with all figures): where a tenth of the
-- sessions is new each day, each is refreshed three times and a tenth is cleaned
-- up, tables and indexes settle at 5.8 MiB for 5000 sessions, and at 6.4 MiB with
-- PostgreSQL's default of 0.2. At 0.02 it is 5.8 MiB again, with twice as many
-- vacuums.
--
-- The fill factors stay. With 85 all writes of data are heap-only, with 100 some
-- 97 %. Room in the pages of token rows (50) changes little in the long run, but
-- keeps all refreshes heap-only in a newly filled table.
--
-- Neither lock blocks reads or writes.

-- +goose Up
ALTER TABLE "sessionStore" SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE "sessionStoreToken" SET (autovacuum_vacuum_scale_factor = 0.05);

-- +goose Down
ALTER TABLE "sessionStoreToken" RESET (autovacuum_vacuum_scale_factor);
ALTER TABLE "sessionStore" RESET (autovacuum_vacuum_scale_factor);
