// Package heuristics looks for what spam does and ordinary mail does not: in the greeting and the name of the sending host, in header, body, links and
// attachments of the message. It learns nothing, and asks the network for nothing but the host's name, if it is given a resolver.
//
//	engine := &spam.Engine{
//		First:  auth.Checks(resolver),
//		Checks: heuristics.Checks(heuristics.Options{Resolver: resolver}),
//	}
//
// Each finding is a symbol; package spam lists what they mean and weigh, and groups them so that no number of small oddities condemns a letter. No symbol
// is a proof. On old ham from the SpamAssassin public corpus, none of 3,900 ordinary letters and list mails reaches 3 points, and 0.8 % of 250 advertisements that
// people asked for reach 6; TestMeasure repeats it.
//
// GTUBE, the test text that all filters know, rejects: it shows that the filter is at work.
//
// # Limits
//
// Of a message, 256 KiB of text and as much HTML, 1 MiB of each part before decoding, 1,000 links, 100 parts and 50 addresses of From and Reply-To are
// looked at. What lies beyond is not judged.
//
// # Standards
//
//   - RFC 5322, RFC 2045 to 2049: what a header and a body have to have.
//   - RFC 5321 s4.1.1.1, s4.1.3: the greeting.
//   - RFC 8601 s2.7.3 (iprev): the host's name has the host's address.
//   - RFC 2919, RFC 2369: mailing lists are told by List-Id and List-Post.
//   - UTS 39: links whose hosts mix alphabets; of its tests, only that one.
package heuristics
