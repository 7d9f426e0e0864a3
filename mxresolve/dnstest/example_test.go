package dnstest_test

import (
	"context"
	"fmt"

	"github.com/gomailroom/mailroom/mxresolve/dnstest"
)

func Example() {
	srv, err := dnstest.Start(`
example.org.     MX 10 mx.example.org.
mx.example.org.  A 192.0.2.1
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	r := srv.Resolver()
	defer r.Close()

	plan, err := r.Resolve(context.Background(), "example.org")
	fmt.Println(plan.Hosts[0].Addrs, err)

	// What if the name servers of the domain are down?
	srv.SetFault("", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 22, ExtendedText: "ns.example.org does not answer"})
	r.Purge()
	_, err = r.Resolve(context.Background(), "example.org")
	fmt.Println(err != nil, srv.Count("example.org", "MX"))
	// Output:
	// [192.0.2.1] <nil>
	// true 2
}
