package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
)

// versionTable is not goose's default, which an application that embeds
// Latchkey may use for its own migrations.
const versionTable = "latchkey_migrations"

//go:embed *.sql
var files embed.FS

// Digest identifies a set of migrations: programs with the same digest and the
// same version of River make the same schema.
func Digest() string {
	digest := sha256.New()
	// Embedded files can always be read, and a digest accepts every write.
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(digest, "%s %d\n%s", name, len(content), content)
		return err
	})
	return hex.EncodeToString(digest.Sum(nil)[:16])
}
