// Package tlsrpt collects how TLS went in deliveries of mail, and makes the daily reports about it that domains ask for
// (SMTP TLS Reporting, RFC 8460).
//
// A [Collector] takes one [Outcome] for each session with a mail host; package mxresolve makes them, from the rule that
// applied to the host and the error of the handshake:
//
//	var reports tlsrpt.Collector
//
//	for _, o := range plan.Failures { // a policy that could not be fetched, a host that is not in it, ...
//		reports.Add(o)
//	}
//	err := client.StartTLS(...)
//	if o, ok := host.TLS.Outcome(err); ok {
//		o.SendingIP, o.ReceivingIP = local, remote
//		reports.Add(o)
//	}
//
// Some hours after midnight UTC, [Collector.Take] hands out what was collected on the days before:
//
//	for _, report := range reports.Take(time.Now(), tlsrpt.Sender{Organization: "Example", Contact: "tls@example.org"}) {
//		record, err := resolver.LookupTLSReporting(ctx, report.Domain)
//		if err != nil || record == nil {
//			continue // the domain wants none
//		}
//		body, err := report.Gzip()
//		// for mailto: in record.URIs a multipart/report; report-type=tlsrpt, with report.Subject(), report.Header(),
//		// the media type tlsrpt.TypeGzip and report.Filename(); for https: a POST of body
//	}
//
// Reports by mail must be DKIM-signed, and delivered even where TLS fails (RFC 8460 s3). What was collected is in memory
// only: a restart loses at most a day, which the standard allows.
//
// # Limits
//
//	domains of one day                    100000    further ones are not counted
//	policies of a domain, and different
//	failures of a policy, in one day      100       likewise; totals go on
//	text of a reason                      200 octets
//
// # Standards
//
// RFC 8460: records (s3), result types (s4.3), the report (s4.4, mx-host as an array as in erratum 6241), file names,
// subject and header fields (s5): done. Sending is the caller's.
package tlsrpt
