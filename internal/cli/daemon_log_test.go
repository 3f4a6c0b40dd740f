package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
)

// TestLogIsFitForATerminal in both forms, whatever a commit, a server or a provider
// says, and loses nothing of it.
func TestLogIsFitForATerminal(t *testing.T) {
	t.Parallel()
	hostile := "a\x1b[2Jb\u009b31mc\u202ed\u2028e\u200bf\U000e0041g\r\nh"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := newLog(&Process{Stderr: &out}, config.Log{Format: format, Level: "info"}, &logLevel{})
		if err != nil {
			t.Fatal(err)
		}
		log.With("who", hostile).Error(hostile, "reason", hostile, hostile, 1)
		line := out.String()
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: %q stands in the line as it is: %q", format, line[i:min(i+4, len(line))], line)
		}
		if format == "json" {
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["msg"] != hostile || got["reason"] != hostile {
				t.Errorf("%v: got %q", err, got)
			}
		}
	}
}
