-- The grace with which a pair was issued.

-- +goose Up
-- Null in pairs that an earlier release issued, and until the first refresh: the
-- answering replica then uses its own setting. While LATCHKEY_REFRESH_GRACE is being
-- changed, replicas with either setting answer, and one must not replace a pair that the
-- other takes for fresh. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "grace" interval NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "grace";
