//go:build unix

package interop

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPython runs smtplib, imaplib and poplib over each store.
func TestPython(t *testing.T) {
	t.Parallel()
	program(t, "python3")
	for _, dir := range []string{memory, t.TempDir()} {
		name := "SQLite"
		if dir == memory {
			name = "memory"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, dir)
			script, err := filepath.Abs("testdata/standard.py")
			require.NoError(t, err)
			args := []string{script, common.authority}
			for _, listener := range listeners {
				args = append(args, listener+"="+s.port(listener))
			}
			o := run(t, t.TempDir(), "", "python3", args...)
			require.Zero(t, o.code, "%s\n%s", o.stdout, o.stderr)
			require.Contains(t, o.stderr, "Ran 22 tests")
		})
	}
}
