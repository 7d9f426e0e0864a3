package mxresolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
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
