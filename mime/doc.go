// Package mime composes, parses and shows internet messages: headers (RFC 5322), bodies of any media (RFC 2045 to 2049), and what
// mail programs and servers want to know of them. It imports nothing of the other packages of this module and does no network I/O.
//
// # Reading
//
// [Parse] reads a message from an [io.ReaderAt], [ParseBytes] from memory, a [Parser] from pieces written to it, and [Spool] from a
// reader whose bytes come once and are needed again: it keeps them in memory or in an unlinked temporary file and parses them on the way.
//
//	s, err := mime.Spool(conn, mime.SpoolLimits{})
//	if err != nil {
//		return err // the error of conn, or *mime.TooLargeError
//	}
//	defer s.Close()
//	m := s.Message()
//	from := m.Header().Addresses("From").All()
//	text, err := m.Text()
//	for _, part := range m.Attachments() {
//		save(part.Filename(), part.Decoded())
//	}
//
// Nothing in a message makes parsing fail. What departs from the standards or reaches a limit is a [Defect] with its place, and
// is read as its sender most likely meant it. A [Message] is a tree of [Part] values with offsets into the bytes; only headers
// are kept. [Message.Parts] walks it without recursion. Bodies are looked into only when they are read: [Message.Check] reads them all and tells
// whether a transfer encoding is broken, and [Part.DecodedStrict] tells it at the end of what it reads.
//
//   - [Message.Body], [Message.Text], [Message.HTML], [Message.Attachments] and [Message.Preview] say what a person sees.
//   - [Message.Structure] is what IMAP needs, and has a stored form.
//   - [Header] finds fields and reads them: text, addresses, dates, identifiers, media types. Its values are decoded where the name says
//     so ([Header.Text], [Header.Addresses]) and as written elsewhere ([Header.Get], [Header.Raw]).
//   - [SplitReply], [SplitReplyHTML] and [SplitSignature] tell what the author of an answer wrote from what is quoted below.
//   - [JoinFragments] puts together what was cut (message/partial), [Part.External] says where content is that is elsewhere, [CutUU] takes files out of a
//     text, and package mime/tnef opens winmail.dat.
//   - [NewDecoder], [NewCharsetReader], [DecodeText], [DecodeFlowed], [HTMLText] and the Parse functions do each job alone.
//
// # Writing
//
// A [Letter] is a struct literal; [Letter.Compose] makes a message of it that can be opened again and again, whose size is known, and
// whose attachments are streamed from where they are:
//
//	letter := mime.Letter{
//		From:        mime.Addr("Alice", "alice@example.org"),
//		To:          []mime.Address{mime.Addr("Bob", "bob@example.net")},
//		Subject:     "Grüße",
//		Text:        "The report is attached.",
//		Attachments: []mime.File{mime.OSFile("report.pdf")},
//	}
//	msg, err := letter.Compose()
//
// [Message.Reply], [Message.Forward], [Message.ReplyHTML], [Message.ForwardHTML] and [Message.ReplyInvitation] start letters
// from a parsed message. Package mime/report writes and reads delivery reports, receipts, abuse reports and the like; package mime/dkim signs.
//
// # Changing
//
// [Message.WriteTo] writes a message as it came, to the octet. [Message.Edit] adds, replaces and removes fields and parts of it and leaves everything else
// as it is; [Message.StripAttachments] does so with attachments. [ReEncode] makes of a message what a link without 8BITMIME carries.
//
// # Limits
//
// [Limits] bound what a message may cost, and zero fields take defaults: 256 KiB and 5,000 fields of one header and 4 MiB of all,
// nesting of 128, 10,000 parts, 10,000 addresses and 200 parameters in a field, 16 MiB decoded by one call of Text, HTML or Embedded,
// 100 defects. A message is joined of at most 10,000 fragments, a calendar object is answered up to 1 MiB, and a text has up to 1,000
// uuencoded files. What lies beyond a limit stays opaque. [SpoolLimits] bound a spool: 256 KiB in memory, 64 MiB in all. Parsing costs time in
// proportion to the length of the message, however it is nested. Part.Decoded and Part.Raw stream and have no limit.
//
// # Standards
//
// Done: RFC 5322 with the obsolete syntax of its section 4; RFC 2045, 2046, 2047, 2049; RFC 2183 (disposition); RFC 2231
// (parameters, in any order); RFC 1557 (ISO-2022-KR, reading); RFC 2152 (UTF-7, reading); RFC 3676 (format=flowed with DelSp); RFC 6532 (UTF-8 in headers); RFC 8621
// s4.1.4 (bodies and attachments); RFC 5256 s2.1 (base subject); RFC 5321 s4.4 (trace fields, reading); RFC 9051 s6.4.5 and s7.5.2 (sections, ENVELOPE, BODYSTRUCTURE); RFC
// 2387 (related); RFC 2369, 2919 and 8058 (lists, unsubscribing, writing); RFC 5546 and 6047 (invitations and their answers); RFC 3834 (Auto-Submitted, writing); RFC 6522 (multipart/report, writing).
//
// Partly: RFC 7103 (repair of malformed messages): its advice on reading is followed, nothing is rewritten; RFC 2046 s5.2.3 and 2017 (message/external-body): read,
// nothing is fetched; RFC 3030 (BINARYMIME): files are sent so, texts are not.
//
// Elsewhere: RFC 1847 (signed and encrypted): here the parts are as they are, byte for byte; packages mime/openpgp and mime/smime check and open them. RFC 6376
// (DKIM): package mime/dkim. RFC 3464, 5965, 8098 and other reports: package mime/report. RFC 8098 s2 (asking for receipts) is a field as any other, in Letter.Extra.
//
// Not: yEnc. It is of Usenet and no registered transfer encoding; it needs octets beyond ASCII and lines that nothing changes, which mail did not promise when it was in use, so that
// what there is of it in mail is mostly damaged. A part that names it is [EncodingUnknown], and is read as it is.
//
// # go-message
//
// [Header.Textproto], [Header.GoMessage] and [HeaderFrom] exchange headers with github.com/emersion/go-message. Its reader is not used: it stops or
// panics on messages that people get.
package mime
