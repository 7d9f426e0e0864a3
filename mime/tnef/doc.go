// Package tnef opens winmail.dat: the attachments of type application/ms-tnef in which Outlook and Exchange hide what a message has, its text and its attachments,
// when they take the recipient for one of theirs ([MS-OXTNEF]).
//
//	for _, p := range m.Attachments() {
//		if tnef.Is(p) {
//			inside, err := tnef.Read(p.Decoded())
//			...
//			for _, f := range inside.Attachments {
//				save(f.Name, f.Content)
//			}
//		}
//	}
//
// What is broken is left out; [Message.Damaged] tells. Only a file that is no TNEF at all is an error.
//
// # Limits
//
// A file is read up to 64 MiB ([MaxSize]); beyond is an error. It has at most 1,000 attachments; further ones are left out, as are properties beyond 10,000 of one
// list. A compressed text is unpacked to at most 16 MiB. A message inside is an attachment of its own, and not looked into.
//
// # Standards
//
// Done: [MS-OXTNEF] (reading: text, HTML, rich text, attachments with long names, types and content ids, embedded messages), [MS-OXRTFCP] (compressed rich text),
// [MS-OXRTFEX] (text and HTML inside rich text). Not: writing, calendar and task properties.
//
// [MS-OXTNEF]: https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxtnef
// [MS-OXRTFCP]: https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxrtfcp
// [MS-OXRTFEX]: https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxrtfex
package tnef
