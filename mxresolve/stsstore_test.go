package mxresolve_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

func newPolicy(t *testing.T, domain, id string) *mxresolve.STSPolicy {
	t.Helper()
	p, err := mxresolve.ParseSTSPolicy(goodPolicy)
	require.NoError(t, err)
	p.Domain, p.ID, p.Fetched = domain, id, time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	p.Expires = p.Fetched.Add(p.MaxAge)
	return p
}

func TestSTSDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "sts")
	s, err := mxresolve.STSDir(dir)
	require.NoError(t, err)
	long := strings.Repeat("abcdefghi.", 24) + "example"
	var want []string
	for _, domain := range []string{"example.org", "con.example", "_x.example", long} {
		p := newPolicy(t, domain, "1")
		require.NoError(t, s.Save(bg, p))
		p = newPolicy(t, domain, "2")
		require.NoError(t, s.Save(bg, p))
		again, err := mxresolve.STSDir(dir) // after a restart
		require.NoError(t, err)
		got, err := again.Load(bg, domain)
		require.NoError(t, err)
		require.Equal(t, p, got)
		want = append(want, domain)
	}
	list, err := s.List(bg)
	require.NoError(t, err)
	require.ElementsMatch(t, want, list)
	for _, d := range want {
		require.NoError(t, s.Delete(bg, d))
		require.NoError(t, s.Delete(bg, d))
		p, err := s.Load(bg, d)
		require.NoError(t, err)
		require.Nil(t, p)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)

	for _, d := range []string{"", "../x", "a/b", "a\x00b", "A.example"} {
		p := newPolicy(t, d, "1")
		require.Error(t, s.Save(bg, p), d)
		p, err := s.Load(bg, d)
		require.NoError(t, err)
		require.Nil(t, p)
		require.NoError(t, s.Delete(bg, d))
	}
}

// TestSTSDirVersion1 opens what the first version wrote.
func TestSTSDirVersion1(t *testing.T) {
	t.Parallel()
	s, err := mxresolve.STSDir("testdata/sts1")
	require.NoError(t, err)
	p, err := s.Load(bg, "example.org")
	require.NoError(t, err)
	require.Equal(t, newPolicy(t, "example.org", "20260504"), p)
	for _, bad := range []string{"future.example", "cut.example"} {
		_, err = s.Load(bg, bad)
		require.ErrorContains(t, err, bad)
	}
}

func TestSTSDirConcurrent(t *testing.T) {
	t.Parallel()
	s, err := mxresolve.STSDir(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.Save(bg, newPolicy(t, "example.org", "0")))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				if err := s.Save(bg, newPolicy(t, "example.org", fmt.Sprint(w, "x", i))); err != nil {
					t.Error(err)
				}
				if p, err := s.Load(bg, "example.org"); err != nil || p.Mode != "enforce" {
					t.Error("neither the old nor the new policy", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestA3_05_SurvivesRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h, _, r := stsLab(t, "")
		store, err := mxresolve.STSDir(dir)
		require.NoError(t, err)
		r.STS.Store = store
		require.NotNil(t, mustPlan(t, r, "example.org").Policy)
		require.NoError(t, r.Close())

		// Another process, while an attacker suppresses record and policy
		h.set("", http.NotFound)
		_, s, r := stsLab(t, "")
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Rcode: dnstest.NXDomain})
		store, err = mxresolve.STSDir(dir)
		require.NoError(t, err)
		r.STS = &mxresolve.STS{Store: store}
		p := mustPlan(t, r, "example.org")
		require.Equal(t, "1", p.Policy.ID)
		require.True(t, required(p.Hosts[0]))
	})
}

// A store that fails does not stop mail.
func TestSTSStoreFails(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		dir := t.TempDir()
		store, err := mxresolve.STSDir(dir)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "example.org.sts"), []byte("garbage"), 0o600))
		r.STS.Store = store
		require.NotNil(t, mustPlan(t, r, "example.org").Policy, "a broken file is fetched anew")
		p, err := store.Load(bg, "example.org")
		require.NoError(t, err)
		require.Equal(t, "1", p.ID)
	})
}

// FuzzParseSTSPolicy: what is accepted can be stored and read back.
func FuzzParseSTSPolicy(f *testing.F) {
	f.Add(goodPolicy)
	f.Add("version: STSv1\nmode: none\nmax_age: 0")
	f.Add("\n\nversion: STSv1\nmode: testing\nmx: *.x\nmax_age: 99999999999\nx y: z")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := mxresolve.ParseSTSPolicy(text)
		if err != nil {
			return
		}
		for _, pattern := range p.MX {
			require.True(t, p.Matches(strings.Replace(pattern, "*", "x", 1)))
		}
		p.Domain, p.ID, p.Fetched = "example.org", "1", time.Unix(1e9, 0).UTC()
		p.Expires = p.Fetched.Add(p.MaxAge)
		s, err := mxresolve.STSDir(t.TempDir())
		require.NoError(t, err)
		require.NoError(t, s.Save(bg, p))
		if len(text) <= 64<<10 {
			again, err := s.Load(bg, "example.org")
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
	})
}
