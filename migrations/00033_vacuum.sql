-- Vacuum leaves empty pages at the end of the two tables, for new rows. To give them back to the file
-- system it would lock a table against readers and writers while it looks for them backwards, which it interrupts
-- every 20 ms for transactions that wait, and while PostgreSQL searches all shared buffers for theirs. After
-- cleanup had removed the sessions that were created last, every refresh waited for that, for more than 0.1 s.
--
-- Neither lock blocks reads or writes.

-- +goose Up
ALTER TABLE "sessionStore" SET (vacuum_truncate = off, toast.vacuum_truncate = off);
ALTER TABLE "sessionStoreToken" SET (vacuum_truncate = off, toast.vacuum_truncate = off);

-- +goose Down
ALTER TABLE "sessionStoreToken" RESET (vacuum_truncate, toast.vacuum_truncate);
ALTER TABLE "sessionStore" RESET (vacuum_truncate, toast.vacuum_truncate);
