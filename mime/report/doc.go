// Package report writes and reads what mail systems tell each other: what became of a message ([DSN]), what its reader did with it ([MDN]), that it was
// abuse ([ARF]), and how many messages passed the checks of a domain ([DMARC]) or came over TLS ([TLS]).
//
// # Reading
//
// [Parse] says what kind of report a message is, and gives its type; ParseDSN and its like give one kind or [ErrNone]:
//
//	switch r, err := report.Parse(m); r := r.(type) {
//	case *report.DSN:
//		for _, to := range r.Recipients {
//			log.Println(to.Final, to.Action, to.Status)
//		}
//	case *report.DMARC:
//		...
//	}
//
// What programs write departs from the standards in many ways; only a message without a report in it is an error. Values come as they
// were written: nobody vouches for them.
//
// # Writing
//
// DSN, MDN and ARF compose to a message. What Compose wrote parses back into the same values. What others wrote (addresses, diagnostics) never makes composing fail.
//
// # Limits
//
// A part for programs is read up to 1 MiB, and 10,000 recipients. An aggregate report is read up to 8 MiB packed and 32 MiB unpacked
// ([MaxUnpacked]), from gzip, from the first file of a zip archive, or plain, with 20,000 records of 1,000 elements, nested 32 deep; beyond
// that it is an error, since half a count is worse than none. XML documents that declare a type are refused.
//
// # Standards
//
// Done: RFC 6522 (multipart/report), RFC 3464 and 6533 (DSN), RFC 8098 (MDN), RFC 5965 (ARF) with RFC 6591 and 6692 (authentication failures, source
// ports), RFC 8460 s4.4 and s5.3 (TLS reports), RFC 7489 appendix C and RFC 9990 (DMARC aggregate reports).
//
// Partly: RFC 9990 s3.1.1.16 (extensions): their names are given, their content is not looked into. Not: writing DMARC and TLS reports, which is the work of
// who counts.
package report
