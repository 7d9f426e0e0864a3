package mxresolve_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

func TestA3_00_OffByDefault(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		r.STS = nil
		p := mustPlan(t, r, "example.org")
		require.Nil(t, p.Policy)
		require.Zero(t, s.Count("_mta-sts.example.org", ""))
		require.Zero(t, h.count())
		require.NoError(t, r.RefreshPolicies(bg))
	})
}

func TestA3_01_PolicyOfTheRecipientsDomain(t *testing.T) {
	const zone = `
example.com. CNAME example.org.
_mta-sts.example.com. TXT "v=STSv1;id=7;"
mta-sts.example.com. A 192.0.2.80
sub.example.org. MX 10 a.example.org.
`
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		p := mustPlan(t, r, "EXAMPLE.com")
		require.Equal(t, "example.org", p.Canonical)
		require.Equal(t, "example.com", p.Policy.Domain)
		require.Equal(t, "7", p.Policy.ID)
		require.Equal(t, []string{"mta-sts.example.com/.well-known/mta-sts.txt"}, h.urls)
		require.Zero(t, s.Count("_mta-sts.example.org", ""))
		require.Equal(t, []string{"a.example.org", "b.example.net"}, names(p))

		// RFC 8461 s3.4: not the policy of the parent
		require.Nil(t, mustPlan(t, r, "sub.example.org").Policy)
		p, err := r.Resolve(bg, "[192.0.2.1]")
		require.NoError(t, err)
		require.Nil(t, p.Policy)
	})
}

func TestA3_02_RecordNoneOrSeveral(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]string{
		"none": `"v=spf1 -all"`, "several": `"v=STSv1; id=2;" "" ` + "\n_mta-sts.example.org. TXT " + `"v=STSv1; id=3;"`,
		"other version": `"v=STSv11; id=2"`, "no version": `"id=2; v=STSv1"`, "upper case": `"V=stsv1; id=2"`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				txt(t, s, record)
				p := mustPlan(t, r, "example.org")
				require.Nil(t, p.Policy)
				require.Zero(t, h.count())
				require.Empty(t, p.Failures)

				txt(t, s, `"v=STSv1; id=1"`)
				r.Purge()
				require.NotNil(t, mustPlan(t, r, "example.org").Policy)
				txt(t, s, record)
				time.Sleep(2 * time.Hour)
				p = mustPlan(t, r, "example.org")
				require.Equal(t, "1", p.Policy.ID, "an unexpired cached policy still rules")
				require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
				require.Equal(t, tlsrpt.STS, p.Failures[0].Policy.Type)
				time.Sleep(7 * 24 * time.Hour)
				require.Nil(t, mustPlan(t, r, "example.org").Policy, "until it expires")
				require.Equal(t, 1, h.count())
			})
		})
	}
}

func TestA3_02_RecordSyntax(t *testing.T) {
	t.Parallel()
	for record, id := range map[string]string{
		`"v=STSv1; id=20160831085700Z;"`: "20160831085700Z", `"v=STSv1;id=a"`: "a", `"v=STS" "v1; i" "d=ab;"`: "ab",
		`"v=STSv1 ; ext=1 ;  id=3 "`: "3", `"v=STSv1; id=1; id=2"`: "1",
		`"v=STSv1"`: "", `"v=STSv1; id="`: "", `"v=STSv1; id=a-b"`: "", `"v=STSv1; id=a b"`: "", `"v=STSv1; foo; id=1"`: "",
		`"v=STSv1; id=` + strings.Repeat("a", 33) + `"`: "",
	} {
		t.Run(record, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				txt(t, s, record)
				p := mustPlan(t, r, "example.org")
				if id != "" {
					require.Equal(t, id, p.Policy.ID)
					return
				}
				require.Nil(t, p.Policy)
				require.Zero(t, h.count())
				if record != `"v=STSv1"` {
					require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyInvalid}, results(p.Failures))
				}
			})
		})
	}
}

func TestA3_03_RecordFails(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail})
		p := mustPlan(t, r, "example.org") // mail must not stand still for it
		require.Nil(t, p.Policy)
		require.Empty(t, p.Failures)
		s.ClearFaults()
		time.Sleep(time.Minute)
		require.NotNil(t, mustPlan(t, r, "example.org").Policy)
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Drop: true})
		time.Sleep(time.Hour)
		p = mustPlan(t, r, "example.org")
		require.Equal(t, "1", p.Policy.ID)
		require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
	})
}

func TestA3_05_IDUnchanged(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		p := mustPlan(t, r, "example.org")
		require.Equal(t, "enforce", p.Policy.Mode)
		for range 20 {
			time.Sleep(time.Hour)
			require.Equal(t, "1", mustPlan(t, r, "example.org").Policy.ID)
		}
		require.Equal(t, 1, h.count(), "no refetch")
		require.Greater(t, s.Count("_mta-sts.example.org", "TXT"), 10)
		time.Sleep(5 * time.Hour)
		h.set(strings.Replace(goodPolicy, "604800", "1209600", 1), nil)
		p = mustPlan(t, r, "example.org")
		require.Equal(t, 7*24*time.Hour, p.Policy.MaxAge, "the refresh is in the background")
		synctest.Wait()
		require.Equal(t, 2, h.count(), "daily")
		require.Equal(t, 14*24*time.Hour, mustPlan(t, r, "example.org").Policy.MaxAge)
	})
}

func TestA3_05_IDChanges(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		mustPlan(t, r, "example.org")
		txt(t, s, `"v=STSv1; id=2"`)
		h.set(strings.Replace(goodPolicy, "enforce", "none", 1), nil)
		time.Sleep(61 * time.Second)
		p := mustPlan(t, r, "example.org")
		require.Equal(t, "2", p.Policy.ID)
		require.False(t, required(p.Hosts[0]))
		require.Equal(t, 2, h.count())
	})
}

func TestA3_05_Expiry(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set(strings.Replace(goodPolicy, "604800", "600", 1), nil)
		mustPlan(t, r, "example.org")
		h.set("", http.NotFound)
		time.Sleep(9 * time.Minute)
		require.NotNil(t, mustPlan(t, r, "example.org").Policy)
		time.Sleep(2 * time.Minute)
		require.Nil(t, mustPlan(t, r, "example.org").Policy)
		h.set(strings.Replace(goodPolicy, "604800", "0", 1), nil)
		time.Sleep(10 * time.Minute)
		p := mustPlan(t, r, "example.org")
		require.Nil(t, p.Policy)
		require.Empty(t, p.Failures)
	})
}

func TestA3_05_RefreshPolicies(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		store, err := mxresolve.STSDir(t.TempDir())
		require.NoError(t, err)
		r.STS.Store = store
		mustPlan(t, r, "example.org")
		for range 20 * 24 { // nothing is sent to the domain
			time.Sleep(time.Hour)
			require.NoError(t, r.RefreshPolicies(bg))
		}
		require.InDelta(t, 20, h.count(), 2)
		p, err := store.Load(bg, "example.org")
		require.NoError(t, err)
		require.True(t, p.Expires.After(time.Now()))

		txt(t, s, `"none any more"`)
		time.Sleep(7 * 24 * time.Hour)
		require.NoError(t, r.RefreshPolicies(bg))
		list, err := store.List(bg)
		require.NoError(t, err)
		require.Empty(t, list, "what has expired is deleted")
	})
}

func TestA3_05_OneFlight(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("", func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Second)
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, goodPolicy)
		})
		ctx, cancel := contextWithTimeout(time.Second)
		defer cancel()
		_, err := r.Resolve(ctx, "example.org")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		mustDefer(t, e, mxresolve.KindCanceled, "4.4.3")
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mustPlan(t, r, "example.org") })
		}
		wg.Wait()
		require.Equal(t, 1, h.count())
	})
}
