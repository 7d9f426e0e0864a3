// Package tlsrpt counts how TLS went in deliveries of mail, and sends the daily reports about it that domains ask for (SMTP
// TLS Reporting, RFC 8460).
//
// A [Collector] takes one [Outcome] for each session with a mail host. A queue that delivers by mxresolve hands them over by
// itself: Add is a function for the field TLSOutcome of queue.MXRouter. A [Reporter] sends the reports, once a day:
//
//	store, err := tlsrpt.Dir("/var/lib/mail/tlsrpt")
//	collector, err := tlsrpt.Open(ctx, store)
//	router := &queue.MXRouter{Resolver: resolver, TLSOutcome: collector.Add}
//
//	reporter := &tlsrpt.Reporter{
//		Collector: collector,
//		Sender:    tlsrpt.Sender{Organization: "Example", Contact: "tls-reports@example.org"},
//		Lookup:    resolver.LookupTLSReporting,
//		Mail: func(ctx context.Context, to string, message []byte) error {
//			// sign message with DKIM for example.org, and queue it from <> or the contact
//		},
//	}
//	go reporter.Run(ctx)
//
// Who delivers with other means makes outcomes from the rule that applied to the host and the error of the handshake:
//
//	for _, o := range plan.Failures { // a policy that could not be fetched, a host that is not in it, ...
//		collector.Add(o)
//	}
//	err := client.StartTLS(...)
//	if o, ok := host.TLS.Outcome(err); ok {
//		o.SendingIP, o.ReceivingIP = local, remote
//		collector.Add(o)
//	}
//
// and who sends with other means asks [Collector.Reports] once a day, and says Done of each.
//
// What was collected is saved once a minute, so that a crash loses as much at most; with the zero Collector a restart loses the
// day. The standard allows both. A report that could not be marked as sent is sent again under the same id.
//
// # Limits
//
//	one day                               32 MiB, about     domains, policies and failures beyond are not counted
//	policies of a domain, and different
//	failures of a policy, in one day      100               likewise; totals go on
//	text of a reason                      200 octets
//	first try                             up to 4 h after midnight UTC, at random    Reporter.Delay
//	between two reports                   1 s               Reporter.Gap
//	retries                               after 5 min, 10, 20 up to 4 h, for 24 h
//	URIs tried of one record              5, until one takes the report
//	one post                              1 min, public addresses only, no redirects Reporter.Client
//	days that could not be reported       forgotten 48 h after their end
//
// # Standards
//
//   - RFC 8460 s3 (records), s4.3 (result types), s4.4 (the report; mx-host as an array as in erratum 6241), s5.1 to s5.5
//     (file names, gzip, mail, HTTPS, retries): done. DKIM signatures of mails (s3) are the caller's.
//   - RFC 8689 s5 (TLS-Required: No, in the mails): done
//   - RFC 6068 (mailto): the address; header fields in the URI are not obeyed
package tlsrpt
