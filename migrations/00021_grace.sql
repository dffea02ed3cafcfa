-- With which grace a pair was issued.

-- +goose Up
-- Null in pairs that an earlier release issued, and until the first refresh: whoever
-- answers then goes by its own setting. While LATCHKEY_REFRESH_GRACE is changed, replicas
-- with either setting answer, and a pair that one of them takes for fresh the other one
-- must not have replaced. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "grace" interval NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "grace";
