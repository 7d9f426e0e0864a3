package smtp_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// Neither side's trace shows what a mechanism exchanges: from challenges and responses together passwords can be guessed at leisure.
func TestTracesOfAuthentication(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var b strings.Builder
			note := func(line string) {
				mu.Lock()
				defer mu.Unlock()
				b.WriteString(line + "\n")
			}
			srv := smtptest.NewUnstartedServer(t)
			srv.Users = map[string]string{"alice": "correct horse"}
			srv.Config.Trace = &smtp.ServerTrace{
				Command: func(_ *smtp.Peer, line string) { note(line) },
				Reply:   func(_ *smtp.Peer, lines string) { note(lines) },
			}
			srv.Start()
			d := srv.Dialer()
			d.Auth.Mechanisms = []string{mechanism}
			d.Trace = &smtp.ClientTrace{Sent: note, Received: note}
			c, err := d.Dial(t.Context(), srv.Addr)
			require.NoError(t, err)
			require.NoError(t, c.Quit(t.Context()))
			seen := b.String()
			for line := range strings.Lines(seen) {
				if rest, ok := strings.CutPrefix(line, "334 "); ok {
					require.Contains(t, []string{"*", "***"}, strings.TrimRight(rest, "\r\n"))
				}
			}
			if mechanism != "PLAIN" {
				require.Contains(t, seen, "334 *\n")
				require.Contains(t, seen, "334 ***\r\n")
			}
			for _, secret := range []string{"correct horse", b64("correct horse"), b64("alice"), b64("\x00alice")[:6], b64("n,,")} {
				require.NotContains(t, seen, secret)
			}
		})
	}
}
