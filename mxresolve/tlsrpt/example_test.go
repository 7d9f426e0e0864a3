package tlsrpt_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
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

// What a mail server does that reports: it keeps outcomes in a folder, and sends once a day.
func ExampleReporter() {
	store, err := tlsrpt.Dir("/var/lib/mail/tlsrpt")
	if err != nil {
		log.Fatal(err)
	}
	collector, err := tlsrpt.Open(context.Background(), store)
	if err != nil {
		log.Fatal(err)
	}
	// router := &queue.MXRouter{Resolver: resolver, TLSOutcome: collector.Add}

	var resolver mxresolve.Resolver
	reporter := &tlsrpt.Reporter{
		Collector: collector,
		Sender:    tlsrpt.Sender{Organization: "Example", Contact: "tls-reports@example.org"},
		Lookup:    resolver.LookupTLSReporting,
		Mail: func(ctx context.Context, to string, message []byte) error {
			return signAndQueue(ctx, to, message) // with DKIM, for example.org
		},
	}
	if err := reporter.Run(context.Background()); err != nil {
		log.Print(err)
	}
}

func signAndQueue(context.Context, string, []byte) error { return nil }
