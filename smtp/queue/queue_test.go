package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx1.a.test", "192.0.2.1:25", nil)
		w.host("mx.b.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx0.a.test", Addrs: []string{"192.0.2.9:25"}}, {Name: "mx1.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["b.test"] = []Host{{Name: "mx.b.test", Addrs: []string{"192.0.2.2:25"}}}
		w.send("alice@sender.test", "x@a.test", "y@A.TEST", "z@b.test")
		w.run()
		require.Len(t, w.mail("mx1.a.test"), 1, "one transaction for both recipients, at the host that is up")
		require.Equal(t, []string{"x", "y"}, w.mail("mx1.a.test")[0].to)
		require.Equal(t, "Received: by mx.sender.test\r\nSubject: hi\r\n\r\nhello\r\n", w.mail("mx1.a.test")[0].text)
		require.Len(t, w.mail("mx.b.test"), 1)
	})
}

func TestGreylistedRecipientIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx.a.test", "192.0.2.1:25", func(to string, n int) error {
			if to == "grey" && n < 3 {
				return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 7, 1}, Text: "come back"}
			}
			return nil
		})
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.send("alice@sender.test", "grey@a.test", "now@a.test")
		w.run()
		got := w.mail("mx.a.test")
		require.Len(t, got, 2)
		require.Equal(t, []string{"now"}, got[0].to)
		require.Equal(t, []string{"grey"}, got[1].to)
		require.InDelta(t, 15*time.Minute, got[1].at, float64(2*time.Minute), "after 5 and 10 minutes, and a little chance")
	})
}

func TestFailureIsReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx.a.test", "192.0.2.1:25", func(to string, _ int) error {
			if to == "nobody" {
				return &smtp.Error{Code: 550, Enhanced: smtp.EnhancedCode{5, 1, 1}, Text: "no such user here"}
			}
			return nil
		})
		w.host("mx.sender.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["sender.test"] = []Host{{Name: "mx.sender.test", Addrs: []string{"192.0.2.2:25"}}}
		w.send("alice@sender.test", "nobody@a.test", "bob@a.test", "eve@nowhere.test")
		w.send("", "nobody@a.test") // a notification itself: nobody is told
		w.run()
		back := w.mail("mx.sender.test")
		require.Len(t, back, 2, "one notification for each domain that failed")
		all := back[0].text + back[1].text
		require.Equal(t, []string{"alice"}, back[0].to)
		for _, want := range []string{"Final-Recipient: rfc822;nobody@a.test", "Status: 5.1.1", "550 5.1.1 no such user here", "Remote-MTA: dns;mx.a.test",
			"Final-Recipient: rfc822;eve@nowhere.test", "Status: 5.1.2", "Reporting-MTA: dns;mx.sender.test"} {
			require.Contains(t, strings.ReplaceAll(all, "; ", ";"), want)
		}
		require.NotContains(t, all, "bob@a.test")
	})
}

// TestFiveDays tries a host that is down until the schedule gives up, and tells the sender of the delay once.
func TestFiveDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		attempts := 0
		w.queue.Trace = &Trace{Attempt: func(_ ID, h Host, _ string, err error) {
			if h.Name == "mx.a.test" {
				attempts++
				require.Error(t, err)
			}
		}}
		w.host("mx.sender.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["sender.test"] = []Host{{Name: "mx.sender.test", Addrs: []string{"192.0.2.2:25"}}}
		w.send("alice@sender.test", "bob@a.test")
		w.run()
		back := w.mail("mx.sender.test")
		require.Len(t, back, 2)
		require.Contains(t, back[0].text, "Action: delayed")
		require.InDelta(t, 5*time.Hour, back[0].at, float64(2*time.Hour))
		require.Contains(t, back[1].text, "Action: failed")
		require.Contains(t, back[1].text, "Status: 5.4.1")
		require.Contains(t, back[1].text, "Diagnostic-Code: x-mailroom; dial tcp", "no server said this")
		require.GreaterOrEqual(t, back[1].at, 5*24*time.Hour)
		require.Less(t, back[1].at, 5*24*time.Hour+time.Hour)
		require.InDelta(t, 34, attempts, 5)
	})
}

// TestOneDomainDoesNotHoldUpAnother fills the places of a domain whose host never answers.
func TestOneDomainDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.queue.MaxParallel = 20
		silent, err := w.net.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		open := make(chan struct{})
		go func() {
			for {
				if _, err := silent.Accept(); err != nil {
					return
				}
				open <- struct{}{}
			}
		}()
		w.host("mx.b.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["b.test"] = []Host{{Name: "mx.b.test", Addrs: []string{"192.0.2.2:25"}}}
		for i := range 30 {
			w.send("", fmt.Sprintf("x%d@a.test", i))
		}
		w.send("", "y@b.test")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		for range 5 {
			<-open
		}
		synctest.Wait()
		require.Len(t, w.mail("mx.b.test"), 1)
		select {
		case <-open:
			t.Fatal("more than five connections to one domain")
		default:
		}
		cancel()
		require.NoError(t, <-done, "what does not end within Drain is cut")
		silent.Close()
		list := all(t, store)
		require.Len(t, list, 30)
		for _, s := range list {
			require.Zero(t, s.States[0].Attempts, "being cut is no failure of the host")
		}
	})
}

// TestCutIsNoLastAttempt is told to end in the middle of what would have been the last attempt: the message is kept for the next start.
func TestCutIsNoLastAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		silent, err := w.net.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		defer silent.Close()
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.queue.Schedule = func(int, time.Duration, error) (time.Duration, bool) { return 0, true }
		w.send("alice@sender.test", "x@a.test")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		synctest.Wait()
		cancel()
		require.NoError(t, <-done)
		list := all(t, store)
		require.Len(t, list, 1)
		require.Equal(t, Waiting, list[0].States[0].Phase)
		require.Zero(t, list[0].States[0].Attempts)
	})
}

// TestScheduleOfItsOwn has a schedule that reckons wrongly: no wait, and a little less.
func TestScheduleOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.queue.Schedule = func(attempt int, _ time.Duration, _ error) (time.Duration, bool) {
			return -time.Hour * time.Duration(attempt%2), attempt == 5
		}
		w.send("", "x@a.test")
		w.run()
	})
}

// TestEndlessWait has a schedule that waits as long as can be said.
func TestEndlessWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.queue.Schedule = func(int, time.Duration, error) (time.Duration, bool) { return math.MaxInt64, false }
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		for range 5 { // or by chance it is not seen
			require.Greater(t, time.Until(w.once("", "x@a.test").Due), 100*365*24*time.Hour)
		}
	})
}

func TestSuccessNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		notified := 0
		w.queue.Return = func(_ context.Context, e *smtp.Envelope, c smtp.Content) error {
			notified++
			if notified == 1 {
				return errors.New("not now")
			}
			require.True(t, e.From.IsNull())
			return nil
		}
		w.routes = map[string][]Host{}
		e, err := smtp.NewEnvelope("alice@sender.test", "bob@nowhere.test", "eve@nowhere.test")
		require.NoError(t, err)
		e.To[1].Params.Notify = smtp.NotifyNever
		_, err = w.queue.Enqueue(t.Context(), e, nil, smtp.StringContent("Subject: hi\r\n\r\nhello\r\n"))
		require.NoError(t, err)
		w.run()
		require.Equal(t, 2, notified, "a notification that cannot be sent is tried again")
	})
}

// TestUnreadableTextIsReturnedWithoutIt takes the text of a message away: its sender hears of the failure all the same.
func TestUnreadableTextIsReturnedWithoutIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx.sender.test", "192.0.2.2:25", nil)
		w.routes["sender.test"] = []Host{{Name: "mx.sender.test", Addrs: []string{"192.0.2.2:25"}}}
		e, err := smtp.NewEnvelope("alice@sender.test", "bob@nowhere.test")
		require.NoError(t, err)
		id, err := w.queue.Enqueue(t.Context(), e, nil, smtp.BytesContent(make([]byte, inlineSize+1)))
		require.NoError(t, err)
		require.NoError(t, store.fs.Remove(id.String()+textSuffix))
		w.run()
		require.Len(t, w.mail("mx.sender.test"), 1)
		require.Contains(t, w.mail("mx.sender.test")[0].text, "bob@nowhere.test")
	})
}

// TestReencode sends 8-bit mail to a host without 8BITMIME: what may be changed arrives as 7-bit, what is signed comes back at once.
func TestReencode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		l, err := w.net.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		old := &smtp.Server{Hostname: "mx.a.test", Handler: &host{w: w, name: "mx.a.test", seen: map[string]int{}}, Withhold: smtp.Ext8BitMIME | smtp.ExtSMTPUTF8}
		go old.Serve(l)
		defer old.Close()
		w.host("mx.sender.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["sender.test"] = []Host{{Name: "mx.sender.test", Addrs: []string{"192.0.2.2:25"}}}
		part := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n"
		signed := "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + part + "--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
		for _, text := range []string{part, signed} {
			e, err := smtp.NewEnvelope("alice@sender.test", "bob@a.test")
			require.NoError(t, err)
			e.Params.Body = smtp.Body8BitMIME
			_, err = w.queue.Enqueue(t.Context(), e, nil, smtp.StringContent("MIME-Version: 1.0\r\n"+text))
			require.NoError(t, err)
		}
		w.run()
		require.Len(t, w.mail("mx.a.test"), 1)
		require.Contains(t, w.mail("mx.a.test")[0].text, "Gr=C3=BC=C3=9Fe")
		require.Len(t, w.mail("mx.sender.test"), 1)
		require.Contains(t, w.mail("mx.sender.test")[0].text, "5.6.3")
	})
}

// TestRelaySharesConnections sends to many domains by one relay.
func TestRelaySharesConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.queue.Router = &RelayRouter{Addr: "192.0.2.2:25"}
		dialed := 0
		w.queue.MaxPerDomain = 2
		w.queue.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			w.mu.Lock()
			dialed++
			w.mu.Unlock()
			return w.net.DialContext(ctx, network, addr)
		}
		w.host("relay.test", "192.0.2.2:25", nil)
		for i := range 40 {
			w.send("", fmt.Sprintf("x@%d.test", i))
		}
		w.run()
		require.Len(t, w.mail("relay.test"), 40)
		require.LessOrEqual(t, dialed, 2)
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	age := time.Duration(0)
	var waits []time.Duration
	for attempt := 1; ; attempt++ {
		wait, giveUp := DefaultSchedule(attempt, age, nil)
		if giveUp {
			break
		}
		waits = append(waits, wait)
		age += wait
	}
	require.Equal(t, []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour}, waits[:7])
	require.Equal(t, 5*24*time.Hour, age)
}
