package queue

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// post queues a message with parameters.
func (w *world) post(params smtp.MailParams, notify smtp.Notify, to ...string) ID {
	w.t.Helper()
	e, err := smtp.NewEnvelope("alice@sender.test", to...)
	require.NoError(w.t, err)
	e.Params = params
	for i := range e.To {
		e.To[i].Params.Notify = notify
	}
	id, err := w.queue.Enqueue(w.t.Context(), e, nil, smtp.StringContent("Subject: hi\r\n\r\nhello\r\n"))
	require.NoError(w.t, err)
	return id
}

// TestFutureRelease holds messages (RFC 4865): not a moment too early, over a restart, and the next host hears nothing of it.
func TestFutureRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		w := newWorld(t, store)
		w.host("mx.a.test", "192.0.2.1:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.post(smtp.MailParams{HoldFor: 10 * 24 * time.Hour}, 0, "for@a.test")
		w.post(smtp.MailParams{HoldUntil: time.Now().Add(36 * time.Hour)}, 0, "until@a.test")
		w.post(smtp.MailParams{HoldUntil: time.Now().Add(-time.Hour)}, 0, "past@a.test")
		require.NoError(t, store.Close())
		store, err := openLog(store.fs, LogOptions{})
		require.NoError(t, err)
		defer store.Close()
		w.store, w.queue.Store = store, store
		w.run()
		got := w.mail("mx.a.test")
		require.Len(t, got, 3)
		for i, want := range []delivered{{to: []string{"past"}}, {to: []string{"until"}, at: 36 * time.Hour}, {to: []string{"for"}, at: 10 * 24 * time.Hour}} {
			require.Equal(t, want.to, got[i].to)
			require.InDelta(t, want.at, got[i].at, float64(time.Second))
		}
	})
}

// TestReleasedMessageHasItsLifetime begins to count when the message is released: one that was held for a week is not given up at its first failure.
func TestReleasedMessageHasItsLifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx.a.test", "192.0.2.1:25", func(_ string, n int) error {
			if n == 1 {
				return &smtp.Error{Code: 451, Text: "later"}
			}
			return nil
		})
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.post(smtp.MailParams{HoldFor: 7 * 24 * time.Hour}, 0, "x@a.test")
		w.run()
		require.Len(t, w.mail("mx.a.test"), 1)
	})
}

// remote is a server that keeps the parameters it is given.
func (w *world) remote(addr string, offer smtp.Extensions, withhold smtp.Extensions, answer func(n int) error) *[]smtp.MailParams {
	l, err := w.net.Listen("tcp", addr)
	require.NoError(w.t, err)
	var got []smtp.MailParams
	n := 0
	s := &smtp.Server{Hostname: "remote.test", Offer: offer, Withhold: withhold, Handler: smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, e *smtp.Envelope, r io.Reader) error {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		n++
		got = append(got, e.Params)
		if answer != nil {
			return answer(n)
		}
		return nil
	})}
	go s.Serve(l)
	w.t.Cleanup(func() { s.Close() })
	return &got
}

func later(failures int) func(int) error {
	return func(n int) error {
		if n <= failures {
			return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 2, 0}, Text: "later"}
		}
		return nil
	}
}

// TestDeliverBy is RFC 2852: what the next host is told, and what the sender hears.
func TestDeliverBy(t *testing.T) {
	t.Parallel()
	by := func(d time.Duration, ret, trace bool) *smtp.DeliverBy {
		return &smtp.DeliverBy{Within: d, Return: ret, Trace: trace}
	}
	for name, c := range map[string]struct {
		by       *smtp.DeliverBy
		notify   smtp.Notify
		offer    smtp.Extensions
		failures int
		told     []smtp.DeliverBy // by each attempt
		notices  []string         // what each notification has
		at       []time.Duration  // and when it comes
	}{
		"in time": {by: by(time.Hour, true, false), offer: smtp.ExtDeliverBy,
			told: []smtp.DeliverBy{{Within: time.Hour, Return: true}}},
		"too late: returned when the time is over": {by: by(7*time.Minute, true, false), offer: smtp.ExtDeliverBy, failures: 9,
			told:    []smtp.DeliverBy{{Within: 7 * time.Minute, Return: true}, {Within: 2 * time.Minute, Return: true}},
			notices: []string{"Action: failed\r\nStatus: 5.4.7"}, at: []time.Duration{7 * time.Minute}},
		"the sender wants to hear nothing": {by: by(7*time.Minute, true, false), notify: smtp.NotifyNever, offer: smtp.ExtDeliverBy, failures: 9,
			told: []smtp.DeliverBy{{Within: 7 * time.Minute, Return: true}, {Within: 2 * time.Minute, Return: true}}},
		"must be returned, and the host does not know how": {by: by(time.Hour, true, false),
			notices: []string{"Action: failed\r\nStatus: 5.3.3"}, at: []time.Duration{0}},
		"too late: delayed, and goes on": {by: by(7*time.Minute, false, false), offer: smtp.ExtDeliverBy, failures: 3,
			told:    []smtp.DeliverBy{{Within: 7 * time.Minute}, {Within: 2 * time.Minute}, {Within: 0}, {Within: -20 * time.Minute}},
			notices: []string{"Action: delayed\r\nStatus: 4.4.7"}, at: []time.Duration{7 * time.Minute}},
		"no word of delays": {by: by(7*time.Minute, false, false), notify: smtp.NotifyFailure, offer: smtp.ExtDeliverBy, failures: 2,
			told: []smtp.DeliverBy{{Within: 7 * time.Minute}, {Within: 2 * time.Minute}, {Within: 0}}},
		"notify, and the host does not know how": {by: by(time.Hour, false, false), told: []smtp.DeliverBy{},
			notices: []string{"Action: relayed\r\nStatus: 2.0.0"}, at: []time.Duration{0}},
		"traced": {by: by(time.Hour, false, true), offer: smtp.ExtDeliverBy, told: []smtp.DeliverBy{{Within: time.Hour, Trace: true}},
			notices: []string{"Action: relayed\r\nStatus: 2.0.0"}, at: []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				got := w.remote("192.0.2.1:25", c.offer, 0, later(c.failures))
				w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
				var notices []string
				var at []time.Duration
				w.queue.Return = func(_ context.Context, _ *smtp.Envelope, c smtp.Content) error {
					notices, at = append(notices, read(t, c)), append(at, time.Since(w.began))
					return nil
				}
				w.post(smtp.MailParams{DeliverBy: c.by}, c.notify, "x@a.test")
				w.run()
				var told []smtp.DeliverBy
				for _, p := range *got {
					if p.DeliverBy != nil {
						told = append(told, *p.DeliverBy)
					}
				}
				require.Len(t, told, len(c.told))
				for i, want := range c.told {
					require.InDelta(t, want.Within, told[i].Within, float64(3*time.Minute))
					require.Equal(t, []bool{want.Return, want.Trace}, []bool{told[i].Return, told[i].Trace})
				}
				require.Len(t, notices, len(c.notices))
				for i, want := range c.notices {
					require.Contains(t, strings.ReplaceAll(notices[i], "; ", ";"), want)
					require.InDelta(t, c.at[i], at[i], float64(time.Second))
				}
			})
		})
	}
}
