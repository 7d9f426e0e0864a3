package smtp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// Whatever breaks, at whatever octet: what Send says was delivered is there, once and whole, and nothing that it sends is ever there twice.
func TestPoolChaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, p := pooledServer(t, func(s *smtptest.Server) {
					chaos := smtptest.Chaos(seed, 0.6, 4000, 20*time.Minute)
					s.Faults = func(conn int) []smtptest.Fault {
						faults := chaos(conn)
						for i := range faults {
							if f := &faults[i]; f.Kind == smtptest.Garble && f.On == smtptest.ToServer {
								f.Kind = smtptest.Drop // a message that is changed on the way is nothing that SMTP can find out
							}
						}
						return faults
					}
					if seed%2 == 0 {
						s.Config.Withhold = smtp.ExtChunking
					}
				})
				p.MaxConns, p.MaxMessages = 3, 8
				body := strings.Repeat("a line of a message\r\n", 10)
				sent := make([]bool, 60)
				var wg sync.WaitGroup
				for worker := range 4 {
					wg.Go(func() {
						for i := worker; i < len(sent); i += 4 {
							r, err := p.Send(t.Context(), srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, body)))
							sent[i] = err == nil && r.Err() == nil
						}
					})
				}
				wg.Wait()
				require.NoError(t, p.Close())
				srv.Close()
				kept := map[string]int{}
				for _, m := range srv.Messages() {
					kept[string(m.Data)]++
				}
				delivered := 0
				for i, ok := range sent {
					n := kept[fmt.Sprintf("Subject: %d\r\n\r\n%s", i, body)]
					require.LessOrEqual(t, n, 1, "message %d", i)
					if ok {
						delivered++
						require.Equal(t, 1, n, "message %d", i)
					}
				}
				require.Positive(t, delivered)
			})
		})
	}
}
