package tlsrpt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

var (
	bg     = context.Background()
	noon   = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	sender = tlsrpt.Sender{Organization: "Example", Contact: "tls@mail.example"}
)

// outcomes are a day of all kinds.
func outcomes(at time.Time) (list []tlsrpt.Outcome) {
	sts := tlsrpt.Policy{Type: tlsrpt.STS, Domain: "sts.example", Strings: []string{"version: STSv1", "mode: enforce"}, MX: []string{"*.sts.example"}}
	dane := tlsrpt.Policy{Type: tlsrpt.TLSA, Domain: "dane.example", Strings: []string{"3 1 1 abab"}}
	for _, o := range []tlsrpt.Outcome{
		{Policy: sts}, {Policy: sts}, {Policy: dane}, {Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: "dane.example"}},
		{Policy: sts, Result: tlsrpt.CertificateExpired, MX: "mx.sts.example", Helo: "mx", Info: "https://x.example/?a=<b>&c", Reason: "expired \"yesterday\"\n",
			SendingIP: netip.MustParseAddr("192.0.2.1"), ReceivingIP: netip.MustParseAddr("2001:db8::1")},
		{Policy: sts, Result: tlsrpt.CertificateExpired, MX: "mx.sts.example"},
		{Policy: dane, Result: tlsrpt.TLSAInvalid},
	} {
		o.At = at
		list = append(list, o)
	}
	return list
}

func reportsOf(t *testing.T, c *tlsrpt.Collector, now time.Time) (out []string) {
	t.Helper()
	for _, r := range c.Reports(now, sender) {
		text, err := r.JSON()
		require.NoError(t, err)
		out = append(out, string(text))
	}
	return out
}

// TestStore stops and opens the collector after each step: nothing is lost, and reports keep their ids.
func TestStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := tlsrpt.Dir(filepath.Join(dir, "new"))
	require.NoError(t, err)
	var kept *tlsrpt.Collector
	reopen := func() {
		if kept != nil {
			require.NoError(t, kept.Save(bg))
		}
		kept, err = tlsrpt.Open(bg, store)
		require.NoError(t, err)
	}
	var whole tlsrpt.Collector
	reopen()
	for i := range 3 {
		for _, o := range outcomes(noon.Add(time.Duration(i) * 11 * time.Hour)) { // the last is on the next day
			reopen()
			kept.Add(o)
			whole.Add(o)
		}
	}
	reopen()
	for _, now := range []time.Time{noon, noon.Add(12 * time.Hour), noon.Add(36 * time.Hour)} {
		want, got := reportsOf(t, &whole, now), reportsOf(t, kept, now)
		require.Equal(t, len(want), len(got))
		for i := range want {
			var a, b map[string]any
			require.NoError(t, json.Unmarshal([]byte(want[i]), &a))
			require.NoError(t, json.Unmarshal([]byte(got[i]), &b))
			delete(a, "report-id") // each collector has its own
			delete(b, "report-id")
			require.Equal(t, a, b)
		}
	}
	before := reportsOf(t, kept, noon.Add(36*time.Hour))
	require.Len(t, before, 4)
	reopen()
	require.Equal(t, before, reportsOf(t, kept, noon.Add(36*time.Hour)), "also the ids")
	kept.Done(kept.Reports(noon.Add(36*time.Hour), sender)[0])
	reopen()
	require.Equal(t, before[1:], reportsOf(t, kept, noon.Add(36*time.Hour)))
	for _, r := range kept.Reports(noon.Add(36*time.Hour), sender) {
		kept.Done(r)
	}
	reopen()
	days, err := store.List(bg)
	require.NoError(t, err)
	require.Empty(t, days)
	entries, err := os.ReadDir(filepath.Join(dir, "new"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestStoreVersion1 opens what the first version wrote.
func TestStoreVersion1(t *testing.T) {
	t.Parallel()
	store, err := tlsrpt.Dir("testdata/version1")
	require.NoError(t, err)
	c, err := tlsrpt.Open(bg, store)
	require.NoError(t, err)
	reports := c.Reports(noon.Add(day), sender)
	require.Len(t, reports, 2)
	require.Equal(t, "2026-05-04.ad1942df18b00873e1bc1a4b", reports[0].ID)
	good, bad := reports[0].Totals()
	require.Equal(t, [2]int64{2, 1}, [2]int64{good, bad})
	text, err := reports[1].JSON()
	require.NoError(t, err)
	require.Contains(t, string(text), `"receiving-ip": "2001:db8::1"`)
}

const day = 24 * time.Hour

func TestStoreDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"other version": "tls-report-day 2\n{}\n",
		"empty":         "",
		"cut":           "tls-report-day 1\n{\"secret\":\"x\"}\n{\"domain\":\"a\",\"pol",
		"no head":       "tls-report-day 1\n",
		"address":       "tls-report-day 1\n{}\n{\"domain\":\"a\",\"policies\":[{\"failure-details\":[{\"receiving-ip\":\"x\"}]}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "2026-05-04.tlsrpt"), []byte(text), 0o600))
			store, err := tlsrpt.Dir(dir)
			require.NoError(t, err)
			_, err = tlsrpt.Open(bg, store)
			require.ErrorContains(t, err, "2026-05-04")
		})
	}
	store, err := tlsrpt.Dir(t.TempDir())
	require.NoError(t, err)
	require.Error(t, store.Save(bg, "../x", nil), "never a path")
}

// failingStore fails on demand.
type failingStore struct {
	tlsrpt.Store
	fails error
	saves int
}

func (s *failingStore) Save(ctx context.Context, date string, text []byte) error {
	if s.fails != nil {
		return s.fails
	}
	s.saves++
	return s.Store.Save(ctx, date, text)
}

func (s *failingStore) Delete(ctx context.Context, date string) error {
	if s.fails != nil {
		return s.fails
	}
	return s.Store.Delete(ctx, date)
}

func TestStoreFailsAndHeals(t *testing.T) {
	t.Parallel()
	inner, err := tlsrpt.Dir(t.TempDir())
	require.NoError(t, err)
	store := &failingStore{Store: inner, fails: errors.New("disk full")}
	c, err := tlsrpt.Open(bg, store)
	require.NoError(t, err)
	c.Add(outcomes(noon)[0])
	require.ErrorIs(t, c.Save(bg), store.fails)
	full := store.fails
	store.fails = nil
	require.NoError(t, c.Save(bg))
	require.NoError(t, c.Save(bg))
	require.Equal(t, 1, store.saves, "only what has changed")
	again, err := tlsrpt.Open(bg, inner)
	require.NoError(t, err)
	require.Equal(t, reportsOf(t, c, noon.Add(day)), reportsOf(t, again, noon.Add(day)))
	store.fails = full
	c.Done(c.Reports(noon.Add(day), sender)[0])
	require.ErrorIs(t, c.Save(bg), full)
	store.fails = nil
	require.NoError(t, c.Save(bg))
	days, err := inner.List(bg)
	require.NoError(t, err)
	require.Empty(t, days)
}

func TestOldDaysAreForgotten(t *testing.T) {
	t.Parallel()
	var c tlsrpt.Collector
	c.Add(outcomes(noon)[0])
	require.Len(t, c.Reports(noon.Add(2*day), sender), 1)
	require.Empty(t, c.Reports(noon.Add(2*day+12*time.Hour), sender))
	require.Empty(t, c.Reports(noon.Add(2*day), sender))
}

func TestCollectorIsBounded(t *testing.T) {
	t.Parallel()
	var c tlsrpt.Collector
	for i := range 1000 {
		o := tlsrpt.Outcome{At: noon, Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: "example.org"}, Result: tlsrpt.ValidationFailure}
		o.Reason = fmt.Sprint(i, strings.Repeat("é", 1000))
		c.Add(o)
		o.Policy.Strings = []string{fmt.Sprint(i)}
		c.Add(o)
	}
	r := c.Reports(noon.Add(day), tlsrpt.Sender{})[0]
	text, err := r.JSON()
	require.NoError(t, err)
	require.Less(t, len(text), 200_000)
	require.True(t, json.Valid(text))
	_, bad := r.Totals()
	require.GreaterOrEqual(t, bad, int64(1000))
}

// TestDayIsBounded counts what a stranger with many domains and long policies could make this host keep.
func TestDayIsBounded(t *testing.T) {
	t.Parallel()
	var c tlsrpt.Collector
	long := strings.Repeat("x", 60_000)
	for i := range 2000 {
		c.Add(tlsrpt.Outcome{At: noon, Policy: tlsrpt.Policy{Type: tlsrpt.STS, Domain: fmt.Sprintf("d%d.example", i), Strings: []string{long}}})
	}
	n := len(c.Reports(noon.Add(day), sender))
	require.Less(t, n, 600, "32 MiB")
	require.Greater(t, n, 400)
}

func TestCollectorIsConcurrent(t *testing.T) {
	t.Parallel()
	store, err := tlsrpt.Dir(t.TempDir())
	require.NoError(t, err)
	c, err := tlsrpt.Open(bg, store)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				o := tlsrpt.Outcome{At: noon.Add(time.Duration(i) * time.Minute), Policy: tlsrpt.Policy{Domain: fmt.Sprint("d", i%7)}}
				if i%2 == 0 {
					o.Result = tlsrpt.CertificateExpired
				}
				c.Add(o)
				if i%100 == 0 {
					c.Reports(o.At, sender)
					if err := c.Save(bg); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, c.Save(bg))
	c, err = tlsrpt.Open(bg, store)
	require.NoError(t, err)
	var good, bad int64
	for _, r := range c.Reports(noon.Add(day), sender) {
		g, b := r.Totals()
		good, bad = good+g, bad+b
	}
	require.Equal(t, [2]int64{1000, 1000}, [2]int64{good, bad}, "nothing lost, nothing twice")
}

// textStore has one day.
type textStore struct {
	tlsrpt.Store
	text []byte
}

func (s textStore) List(context.Context) ([]string, error)               { return []string{"2026-05-04"}, nil }
func (s textStore) Load(context.Context, string) ([]byte, error)         { return s.text, nil }
func (s *textStore) Save(_ context.Context, _ string, text []byte) error { s.text = text; return nil }

func FuzzOpen(f *testing.F) {
	text, err := os.ReadFile("testdata/version1/2026-05-04.tlsrpt")
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := tlsrpt.Open(bg, &textStore{text: text})
		if err != nil {
			return
		}
		for _, r := range c.Reports(noon.Add(day), sender) {
			if text, err := r.JSON(); err != nil || !json.Valid(text) {
				t.Fatalf("%s %v", text, err)
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add("a@b.example")
	f.Add("a@b\r\nBcc: x@y")
	f.Fuzz(func(t *testing.T, to string) {
		var c tlsrpt.Collector
		c.Add(outcomes(noon)[0])
		b, err := c.Reports(noon.Add(day), sender)[0].Message(to, noon)
		if err == nil && strings.Count(string(b[:strings.Index(string(b), "\r\n\r\n")]), "\r\n") != 13 {
			t.Fatalf("%q", b)
		}
	})
}
