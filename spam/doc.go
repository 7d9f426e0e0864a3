// Package spam judges mail. Checks find symbols, rules weigh them, and the sum leads to an action: accept, junk, defer or reject. A verdict has a
// reason for every point, as a table, as JSON and as a header field.
//
//	engine := &spam.Engine{
//		First:  auth.Checks(resolver), // SPF, DKIM and DMARC: others build on them
//		Checks: append(heuristics.Checks(heuristics.Options{Resolver: resolver}), classifier),
//	}
//	m := &spam.Mail{Remote: addr, Hello: "mx.example.org", From: "ann@example.org", ...}
//	v, err := engine.Score(ctx, m, spam.StageBody)
//
// A [Mail] grows while it comes in. Score may be called at any [Stage], each time with what is known by then; a check runs once, at its stage. For each
// recipient, [Mail.For] gives a copy that is judged at [StageAccount] with that account's own knowledge.
//
// # Checks
//
//   - spam/auth: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989)
//   - spam/heuristics: greeting, host name, header, body, links, attachments
//   - spam/bayes: what people called spam before
//   - spam/dnsbl: block lists in the DNS (RFC 5782)
//
// A [Check] of your own has three methods; give its symbols weights in the [Rules], or let them carry their scores. What fails, panics or takes too
// long is noted as CHECK_FAILED and costs no mail.
//
// # Rules
//
// [DefaultRules] has the weights below, groups that cap what similar symbols add together, composites, and thresholds: Junk from 6, Reject from 15. Ordinary mail stays
// below 3. Rules are data: json.Marshal writes them, [RulesFromJSON] reads and validates them.
//
//	symbol                  points  meaning
//	CHECK_FAILED               0.0  a check could not be made
//	GTUBE                      0.0  the test text for spam filters
//	BAYES_SPAM                 7.0  it is like what was called spam
//	BAYES_HAM                 -3.0  it is like what was kept
//	IMPERSONATION              0.0  the sender claims another's name, unproven
//	PHISHING                   3.0  a false name, and a link or page that leads elsewhere
//	URL_TEXT_DIFFERS_KNOWN     0.0  links are redirected by a sender who is known
//
//	                        group auth, at most 5 together
//	SPF_PASS                  -0.2  the sending host may use this domain
//	SPF_FAIL                   3.0  the sending host may not use this domain
//	SPF_SOFTFAIL               1.0  the sending host probably may not use this domain
//	SPF_NEUTRAL                0.2  the domain does not say who may use it
//	SPF_NONE                   0.3  the domain has no SPF policy
//	SPF_TEMPERROR              0.0  the SPF policy could not be looked up
//	SPF_PERMERROR              0.5  the SPF policy is broken
//	DKIM_PASS                 -0.2  a signature holds
//	DKIM_FAIL                  1.0  no signature holds
//	DKIM_POLICY                0.5  the signatures are too weak or leave too much out
//	DKIM_NEUTRAL               0.2  the signatures cannot be read
//	DKIM_NONE                  0.2  there is no signature
//	DKIM_TEMPERROR             0.0  the key of a signature could not be looked up
//	DKIM_PERMERROR             0.5  the signatures are broken or have no key
//	DMARC_PASS                -0.5  the domain of From is authenticated
//	DMARC_NONE                 0.2  the domain of From is not authenticated, and does not mind
//	DMARC_TEMPERROR            0.0  the DMARC policy could not be looked up
//	DMARC_NA                   0.0  the domain of From has no DMARC policy
//
//	DMARC_QUARANTINE           6.0  the domain of From is not authenticated, and asks for quarantine
//	DMARC_REJECT               8.0  the domain of From is not authenticated, and asks for rejection
//
//	                        group host, at most 4 together
//	HELO_BARE_IP               1.5  the greeting is an address without brackets
//	HELO_LOCALHOST             2.0  the greeting is localhost
//	HELO_OURS                  4.0  the greeting is this server's own name
//	HELO_LITERAL_DIFFERS       1.5  the greeting is another address than the host's
//	HELO_NOT_FQDN              1.0  the greeting is no full host name
//	RDNS_NONE                  1.5  the host has no name
//	RDNS_MISMATCH              1.0  the host's name has another address
//	RDNS_GENERIC               1.0  the host's name is made from its address, as those of dial-up lines
//	RDNS_TEMPERROR             0.0  the host's name could not be looked up
//
//	                        group header, at most 5 together
//	DATE_MISSING               1.0  there is no Date
//	DATE_INVALID               1.0  Date cannot be read
//	DATE_FUTURE                2.0  Date lies more than a day ahead
//	DATE_OLD                   0.8  Date lies many days back
//	MID_MISSING                1.0  there is no Message-ID
//	MID_INVALID                0.5  Message-ID is no identifier
//	SUBJECT_EMPTY              0.8  there is no subject
//	SUBJECT_CAPS               1.5  the subject is in capitals
//	SUBJECT_EXCLAIMS           1.2  the subject shouts with !!! or $$$
//	SUBJECT_FAKE_REPLY         0.2  the subject says Re: and nothing is answered
//	FROM_MISSING               3.0  there is no From
//	FROM_MULTIPLE              3.0  From has several domains
//	FROM_INVALID               2.0  From has no address
//	FROM_NAME_ADDRESS          2.5  the name in From is another address
//	FROM_NAME_DOMAIN           1.5  the name in From is another domain
//	REPLYTO_ELSEWHERE          0.8  answers go to another domain
//	TO_MISSING                 0.8  there are neither To nor Cc
//	TO_UNDISCLOSED             0.5  the recipients are not disclosed
//	TO_MANY                    1.0  there are very many recipients
//	FROM_IS_TO                 0.8  the sender writes to himself
//	RECEIVED_FORGED            1.5  a trace field is made up
//	HEADER_BROKEN              1.0  the header is broken
//	HEADER_RAW_8BIT            0.8  the header has bytes that are no text
//	MIME_BROKEN                1.0  the structure is broken
//	MIME_EXCESSIVE             2.0  the structure is beyond all measure
//	MIME_BAD_BASE64            1.5  what should be base64 is not
//	CHARSET_ODD                1.0  the name of a charset is none
//
//	                        group body, at most 4 together
//	HTML_ONLY                  0.4  there is HTML without plain text
//	HTML_IMAGE_ONLY            1.5  there are pictures and links, and hardly any text
//	HTML_HIDDEN_TEXT           1.5  text is hidden from the reader
//	HTML_FORM                  0.5  there is a form
//	HTML_SCRIPT                1.5  there is a script
//	TEXT_HTML_DIFFER           1.5  plain text and HTML say different things
//
//	ATTACHMENT_EXECUTABLE      5.0  a program is attached
//	ATTACHMENT_DOUBLE_EXT      8.0  a program is attached that pretends to be a document
//	ATTACHMENT_BIDI            6.0  the name of an attachment is turned around
//	ATTACHMENT_MACRO           1.5  a document with macros is attached
//	ATTACHMENT_HTML            1.2  a web page is attached
//	ATTACHMENT_ENCRYPTED       1.5  an encrypted archive is attached
//
//	                        group links, at most 5 together
//	URL_IP                     2.5  a link leads to an address instead of a name
//	URL_USERINFO               2.5  a link hides its host behind a user name
//	URL_SHORTENER              1.2  a link does not say where it leads
//	URL_MIXED_SCRIPT           3.0  a link's host mixes alphabets
//	URL_TEXT_DIFFERS           2.0  a link shows another host than it leads to
//	URL_ACTIVE                 2.0  a link is a script or carries its page along
//	URL_MANY                   0.8  links lead to very many places
//
//	                        group dnsbl, at most 6 together
//	DNSBL                      1.0  the host is on a block list, as bad as the list's points say
//	DNSWL                      1.0  the host is on a list of good ones
//	DNSBL_UNKNOWN              0.0  a list did not answer, or refuses to
//
// Some decide alone: GTUBE and DMARC_REJECT reject, DMARC_QUARANTINE files into Junk. BAYES_SPAM and BAYES_HAM count in proportion to how sure the classifier is and how much it
// has learned.
//
// # Limits
//
// All checks of one call of Score have 15 seconds together (Engine.Deadline). Each package says how much of a message it looks at.
//
// # Standards
//
//   - RFC 8601, the results: done. The field is written by spam/auth.
//   - RFC 7208, 6376, 9989: in spam/auth and mime/dkim.
//   - RFC 5782, lists in the DNS: done in spam/dnsbl.
//   - RFC 8617 (ARC): not done; the experiment has ended.
//   - RFC 6647 (greylisting): not done yet.
package spam
