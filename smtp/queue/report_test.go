package queue

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestTLSOutcomes delivers to hosts of all kinds and compares what TLS reports would tell about each connection.
func TestTLSOutcomes(t *testing.T) {
	t.Parallel()
	const zones = `
good.test.  MX 10 mx.good.test.
mx.good.test. A 192.0.2.1
plain.test. MX 10 mx.plain.test.
mx.plain.test. A 192.0.2.2
dane.test.  MX 10 mx.dane.test.
mx.dane.test. A 192.0.2.3
_25._tcp.mx.dane.test. TLSA 3 1 1 abababababababababababababababababababababababababababababababab
strict.test. MX 10 mx.strict.test.
mx.strict.test. A 192.0.2.4
_25._tcp.mx.strict.test. TLSA 3 1 1 abababababababababababababababababababababababababababababababab
broken.test. MX 10 mx.broken.test.
mx.broken.test. A 192.0.2.5
silent.test. MX 10 mx.silent.test.
mx.silent.test. A 192.0.2.6
servfail.test. MX 10 mx.servfail.test.
mx.servfail.test. A 192.0.2.7
testing.test. MX 10 mx.testing.test.
mx.testing.test. A 192.0.2.8
_mta-sts.testing.test. TXT "v=STSv1; id=1"
`
	ca := certs.NewCA()
	noCommonVersion := ca.Server("mx.broken.test")
	noCommonVersion.MinVersion, noCommonVersion.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	for domain, c := range map[string]struct {
		config   *tls.Config
		typ      tlsrpt.PolicyType
		result   tlsrpt.Result
		remote   string
		delivers bool
	}{
		"good.test":     {ca.Server("mx.good.test"), tlsrpt.NoPolicy, "", "192.0.2.1", true},
		"plain.test":    {nil, tlsrpt.NoPolicy, tlsrpt.STARTTLSNotSupported, "192.0.2.2", true},
		"dane.test":     {ca.Server("mx.dane.test"), tlsrpt.TLSA, tlsrpt.CertificateNotTrusted, "192.0.2.3", false},
		"strict.test":   {nil, tlsrpt.TLSA, tlsrpt.STARTTLSNotSupported, "192.0.2.4", false},
		"broken.test":   {noCommonVersion, tlsrpt.NoPolicy, tlsrpt.ValidationFailure, "192.0.2.5", true},
		"silent.test":   {}, // no host is there: the network, not TLS
		"testing.test":  {ca.Server("other.test"), tlsrpt.STS, tlsrpt.CertificateHostMismatch, "192.0.2.8", true},
		"servfail.test": {nil, tlsrpt.TLSA, tlsrpt.DNSSECInvalid, "", false},
	} {
		t.Run(domain, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				pc, err := w.net.ListenPacket("udp", "192.0.2.53:53")
				require.NoError(t, err)
				dns, err := dnstest.Serve(pc, nil, zones)
				require.NoError(t, err)
				defer dns.Close()
				for _, d := range []string{"dane.test", "strict.test", "servfail.test"} {
					dns.SetSecure(d, true)
				}
				dns.SetFault("_25._tcp.mx.servfail.test", "TLSA", dnstest.Fault{Rcode: dnstest.ServFail})
				resolver := dns.Resolver()
				resolver.Dial = w.net.DialContext
				defer resolver.Close()
				policy, err := mxresolve.ParseSTSPolicy("version: STSv1\nmode: testing\nmx: mx.testing.test\nmax_age: 604800\n")
				require.NoError(t, err)
				policy.Domain, policy.ID, policy.Fetched, policy.Expires = "testing.test", "1", time.Now(), time.Now().Add(policy.MaxAge)
				policies, err := mxresolve.STSDir(t.TempDir())
				require.NoError(t, err)
				require.NoError(t, policies.Save(t.Context(), policy))
				resolver.STS = &mxresolve.STS{Store: policies, RootCAs: ca.Pool()}
				var got []tlsrpt.Outcome
				w.queue.Router = &MXRouter{Resolver: resolver, TLSOutcome: func(o tlsrpt.Outcome) { got = append(got, o) }}
				w.queue.Schedule = func(int, time.Duration, error) (time.Duration, bool) { return 0, true }
				if domain != "silent.test" && c.remote != "" {
					l, err := w.net.Listen("tcp", c.remote+":25")
					require.NoError(t, err)
					s := &smtp.Server{Hostname: "mx." + domain, TLSConfig: c.config, Handler: &host{w: w, name: domain, seen: map[string]int{}}}
					go s.Serve(l)
					defer s.Close()
				}
				w.send("", "user@"+domain)
				w.run()
				require.Equal(t, c.delivers, len(w.mail(domain)) == 1)
				if c.typ == "" {
					require.Empty(t, got)
					return
				}
				require.Len(t, got, 1)
				o := got[0]
				require.Equal(t, c.typ, o.Policy.Type)
				require.Equal(t, domain, o.Policy.Domain)
				require.Equal(t, c.result, o.Result, o.Reason)
				require.Equal(t, "mx."+domain, o.MX)
				if c.remote != "" {
					require.Equal(t, c.remote, o.ReceivingIP.String())
					require.True(t, o.SendingIP.IsValid())
				}
			})
		})
	}
}
