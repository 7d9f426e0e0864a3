package queue

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestRequireTLS sends messages that ask for REQUIRETLS: each host is asked for it (RFC 8689 s4.2.1), and what comes back is the header, protected in the same manner (s5).
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]bool{"the second host has it": true, "no host has it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				ca := certs.NewCA()
				w.queue.Dialer.TLSConfig = ca.Client()
				w.host("mx1.a.test", "192.0.2.1:25", nil)
				w.routes["a.test"] = []Host{{Name: "mx1.a.test", Addrs: []string{"192.0.2.1:25"}}}
				if second {
					l, err := w.net.Listen("tcp", "192.0.2.2:25")
					require.NoError(t, err)
					s := &smtp.Server{Hostname: "mx2.a.test", TLSConfig: ca.Server("192.0.2.2"), Offer: smtp.ExtRequireTLS, Handler: &host{w: w, name: "mx2.a.test", seen: map[string]int{}}}
					go s.Serve(l)
					defer s.Close()
					w.routes["a.test"] = append(w.routes["a.test"], Host{Name: "mx2.a.test", Addrs: []string{"192.0.2.2:25"}, TLS: smtp.TLSRequired})
				}
				var notices []string
				var protected bool
				w.queue.Return = func(_ context.Context, e *smtp.Envelope, c smtp.Content) error {
					notices, protected = append(notices, read(t, c)), e.Params.RequireTLS
					return nil
				}
				w.post(smtp.MailParams{RequireTLS: true, Return: smtp.ReturnFull}, 0, "bob@a.test")
				w.run()
				require.Empty(t, w.mail("mx1.a.test"))
				if second {
					require.Len(t, w.mail("mx2.a.test"), 1)
					require.Empty(t, notices)
					return
				}
				require.Len(t, notices, 1)
				require.True(t, protected)
				require.Contains(t, notices[0], "Status: 5.7.30")
				require.Contains(t, notices[0], "Subject: hi\r\n")
				require.NotContains(t, notices[0], "hello\r\n")
			})
		})
	}
}
