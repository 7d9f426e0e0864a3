package mxresolve_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// Where mail for some domains goes, and what becomes of mail that goes nowhere.
func ExampleResolver_Resolve() {
	srv, err := dnstest.Start(`
example.org.        MX 10 mx1.example.org.
example.org.        MX 20 mx2.example.net.
mx1.example.org.    A 192.0.2.1
mx1.example.org.    AAAA 2001:db8::1
mx2.example.net.    A 192.0.2.2
plain.example.      A 192.0.2.3
null.example.       MX 0 .
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	r := srv.Resolver() // in a program: new(mxresolve.Resolver)
	defer r.Close()
	srv.SetFault("broken.example", "", dnstest.Fault{Rcode: dnstest.ServFail})

	for _, domain := range []string{"example.org", "plain.example", "null.example", "gone.example", "broken.example"} {
		plan, err := r.Resolve(context.Background(), domain)
		var e *mxresolve.Error
		switch {
		case errors.As(err, &e) && e.Temporary:
			fmt.Println(domain, "later:", e.Enhanced, e.Kind)
		case errors.As(err, &e):
			fmt.Println(domain, "never:", e.Code, e.Enhanced, e.Kind)
		default:
			for _, h := range plan.Hosts {
				fmt.Println(domain, "via", h.Name, h.Addrs)
			}
		}
	}
	// Output:
	// example.org via mx1.example.org [2001:db8::1 192.0.2.1]
	// example.org via mx2.example.net [192.0.2.2]
	// plain.example via plain.example [192.0.2.3]
	// null.example never: 556 5.1.10 domain does not accept mail (null MX)
	// gone.example never: 550 5.1.2 no such domain
	// broken.example later: 4.4.3 DNS lookup failed
}

// The name that a client's address really has.
func ExampleResolver_ForwardConfirmed() {
	srv, err := dnstest.Start(`
7.2.0.192.in-addr.arpa. PTR out.example.org.
7.2.0.192.in-addr.arpa. PTR pretended.example.com.
out.example.org.        A 192.0.2.7
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	r := srv.Resolver()
	defer r.Close()

	names, err := r.ForwardConfirmed(context.Background(), netip.MustParseAddr("192.0.2.7"))
	fmt.Println(names, err)
	_, err = r.ForwardConfirmed(context.Background(), netip.MustParseAddr("192.0.2.8"))
	var de *net.DNSError
	fmt.Println(errors.As(err, &de) && de.IsNotFound)
	// Output:
	// [out.example.org] <nil>
	// true
}

// A resolver that asks over TLS, drops hosts of its own and never sends to private networks.
func ExampleResolver() {
	r := &mxresolve.Resolver{
		Upstreams: []mxresolve.Upstream{{Addr: "tls://192.0.2.53#dns.example"}, {Addr: "127.0.0.1"}},
		Names:     []string{"mail.example.org"},
		Addrs:     []netip.Addr{netip.MustParseAddr("203.0.113.25")},
		Refuse:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")},
	}
	defer r.Close()
	_, err := r.Resolve(context.Background(), "[203.0.113.25]")
	fmt.Println(err)
	// Output: mxresolve: [203.0.113.25]: mail loops back to this host: the address is this host's own
}

// A mail server's resolver: it obeys MTA-STS policies, keeps them over restarts, and collects what TLS reports need.
func ExampleSTS() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := mxresolve.STSDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	// What an earlier run of the program had fetched
	policy, err := mxresolve.ParseSTSPolicy("version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 604800\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	policy.Domain, policy.ID, policy.Fetched, policy.Expires = "example.org", "20260504", time.Now(), time.Now().Add(policy.MaxAge)
	store.Save(context.Background(), policy)

	srv, err := dnstest.Start(`
example.org.            MX 10 mx.example.org.
example.org.            MX 20 mx.attacker.example.
mx.example.org.         A 192.0.2.1
mx.attacker.example.    A 192.0.2.66
_mta-sts.example.org.   TXT "v=STSv1; id=20260504"
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	r := srv.Resolver() // in a program: new(mxresolve.Resolver)
	r.STS = &mxresolve.STS{Store: store}
	defer r.Close()

	plan, err := r.Resolve(context.Background(), "example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range plan.Hosts {
		config, required := h.TLS.Config(nil)
		fmt.Println(h.Name, "TLS required:", required, "certificate for:", config.ServerName)
	}
	for _, h := range plan.Skipped {
		fmt.Println(h.Name, h.Reason)
	}

	var reports tlsrpt.Collector
	for _, o := range plan.Failures {
		reports.Add(o)
		fmt.Println(o.Result, o.MX, o.Reason)
	}
	outcome, ok := plan.Hosts[0].TLS.Outcome(x509.HostnameError{Certificate: new(x509.Certificate), Host: "mx.example.org"})
	fmt.Println(ok, outcome.Policy.Type, outcome.Result)
	// Output:
	// mx.example.org TLS required: true certificate for: mx.example.org
	// mx.attacker.example not allowed by the MTA-STS policy
	// validation-failure mx.attacker.example the MX host is not in the policy
	// true sts certificate-host-mismatch
}
