package tlsrpt_test

import (
	"fmt"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// Two sessions of one day, and the mail about them on the next.
func Example() {
	var c tlsrpt.Collector
	yesterday := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	policy := tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: "example.net"} // in a program: of mxresolve, with the outcome
	c.Add(tlsrpt.Outcome{At: yesterday, Policy: policy})
	c.Add(tlsrpt.Outcome{At: yesterday, Policy: policy, Result: tlsrpt.STARTTLSNotSupported, MX: "mx.example.net"})

	for _, r := range c.Reports(yesterday.Add(20*time.Hour), tlsrpt.Sender{Organization: "Example", Contact: "tls@mail.example.org"}) {
		r.ID = "1"
		fmt.Println(r.Subject())
		fmt.Println(r.Header())
		good, bad := r.Totals()
		fmt.Println(good, bad)
	}
	// Output:
	// Report Domain: example.net Submitter: mail.example.org Report-ID: <1@mail.example.org>
	// [[TLS-Report-Domain example.net] [TLS-Report-Submitter mail.example.org]]
	// 1 1
}
