// Package dnstest is a name server for tests, what net/http/httptest is to HTTP: one line starts it on a free port of the
// loopback interface, zones are text, and it fails on demand.
//
//	srv, err := dnstest.Start(`
//	example.org.     MX 10 mx.example.org.
//	mx.example.org.  A 192.0.2.1
//	`)
//	defer srv.Close()
//	srv.SetFault("mx.example.org", "AAAA", dnstest.Fault{Rcode: dnstest.ServFail, ExtendedText: "ns1 is silent"})
//
//	r := srv.Resolver() // a *mxresolve.Resolver that asks this server
//	plan, err := r.Resolve(ctx, "example.org")
//
// It behaves as a recursive server does that has all its zones in the cache: it follows CNAME and DNAME records, expands
// wildcards, tells names that do not exist from names without such records, and gives the SOA record with both. Any DNS
// client may ask it: a net.Resolver by its Dial field.
//
// Zones, faults and what counts as signed may be changed while it runs. Queries and Count say what was asked. [Serve]
// takes listeners, such as those of a network in memory, where time can be simulated with testing/synctest; a listener of
// crypto/tls makes a server for DNS over TLS.
//
// SetSecure sets the AD bit, as a validating server would, which is all that clients see who trust their server. For those
// who validate by themselves, Sign signs a zone. There are no delegations and no zone transfers.
package dnstest
