package cleanup_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
)

// In a JSON log, too, the unit of a duration is clear.
func TestDurationInTheLog(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	slog.New(slog.NewJSONHandler(&text, nil)).InfoContext(t.Context(), "cleanup", "summary", cleanup.Summary{Duration: 8476 * time.Millisecond})
	if !strings.Contains(text.String(), `"took_seconds":8.476}`) {
		t.Error(text.String())
	}
}
