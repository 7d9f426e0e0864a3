package sqlstore_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
	"github.com/gomailroom/mailroom/mime"
)

// letter is a message of 2 KiB.
func letter() []byte {
	b := []byte("From: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: Some words\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	filler := make([]byte, 970)
	rand.Read(filler)
	return fmt.Appendf(b, "%x\r\n", filler)[:2048]
}

func parsed(t testing.TB, b []byte) mailstore.Incoming {
	m, err := mime.Parse(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return mailstore.Incoming{Content: bytes.NewReader(b), Structure: m.Structure()}
}

func BenchmarkDeliver(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			store := withAlice(b)
			m := parsed(b, letter())
			b.SetBytes(2048)
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if errs := store.Deliver(b.Context(), m, []mailstore.Target{{Account: "alice"}}); errs[0] != nil {
							b.Error(errs[0])
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// filled gives an INBOX with n messages of 2 KiB.
func filled(b *testing.B, n int) (path string, store *sqlstore.Store, box imap.Mailbox) {
	path = filepath.Join(b.TempDir(), "mail.db")
	store = open(b, path, sqlstore.Options{})
	require.NoError(b, store.CreateAccount(b.Context(), "alice", mailstore.Limits{}))
	m := parsed(b, letter())
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range n / 64 {
				store.Deliver(b.Context(), m, []mailstore.Target{{Account: "alice"}})
			}
		})
	}
	wg.Wait()
	return path, store, inbox(b, store)
}

func inbox(t testing.TB, store imap.Backend) imap.Mailbox {
	account, err := store.Account(t.Context(), "alice")
	require.NoError(t, err)
	box, err := account.Open(t.Context(), "INBOX")
	require.NoError(t, err)
	return box
}

func BenchmarkFetch(b *testing.B) {
	const n = 10_240
	_, _, box := filled(b, n)
	for name, want := range map[string]imap.Want{"structures": {Structure: true}, "bodies": {Body: true}} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				for item, err := range box.Fetch(b.Context(), imap.UIDSetRange(1, 1<<31), want) {
					require.NoError(b, err)
					if want.Body {
						_, _ = item.Body.ReadAt(buf, 0)
					}
					got++
				}
				require.Equal(b, n, got)
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func BenchmarkViewLoad(b *testing.B) {
	const n = 100_096
	path, store, _ := filled(b, n)
	require.NoError(b, store.Close())
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		store := open(b, path, sqlstore.Options{})
		box := inbox(b, store)
		b.StartTimer()
		v, err := box.View(b.Context())
		require.NoError(b, err)
		require.Equal(b, n, v.Len())
	}
}

func BenchmarkSetFlags(b *testing.B) {
	const n = 10_240
	_, _, box := filled(b, n)
	for name, uids := range map[string]imap.UIDSet{"one": imap.UIDSetOf(77), "all": imap.UIDSetRange(1, 1<<31)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			op := imap.FlagsAdd
			for b.Loop() {
				_, err := box.SetFlags(b.Context(), uids, imap.FlagChange{Op: op, Flags: imap.FlagSeen})
				require.NoError(b, err)
				op ^= imap.FlagsAdd ^ imap.FlagsRemove
			}
		})
	}
}
