// Package dkim signs messages, and judges the signatures of messages, with DomainKeys Identified Mail.
//
// # Signing
//
// A key is made once, its public half published at selector._domainkey.domain, and every message signed before it is sent:
//
//	key, err := dkim.ParseKey(pemBytes)
//	record, err := dkim.Record(key.Public()) // for the TXT record
//	field, err := dkim.Sign(ctx, msg, dkim.Signer{Domain: "example.org", Selector: "2026", Key: key})
//
// The field that comes back goes before the message. Several signers, as one with an RSA key and one with an Ed25519 key, share one reading
// of the message. From is always signed, and signed once more than it is there, so that nobody can put a second one on top; so
// are the other fields that people see.
//
// # Verifying
//
//	results, err := dkim.Verify(ctx, msg, resolver)
//
// There is a result for each signature, by itself: a malformed or failed one says nothing about the others, and a message
// with a bad signature is no worse than one without (RFC 6376 s6.1). Whose signature matters is for DMARC or the reader to decide.
// The error is only for a message that could not be read.
//
// The message is read once, whatever its length, in constant memory, while keys are looked up. What is not acceptable by today's rules gets [Policy]: rsa-sha1,
// RSA keys below 1024 bits, expired signatures, l= that leaves a part of the body unsigned, a From that is not signed. A header with lines that are no fields gets
// [PermError]: they are not signed, and may be shown as text.
//
// # Limits
//
// A header of 1 MiB or 5,000 fields, 10 signatures, 300 signed fields, 100 tags, RSA keys of 8192 bits, 20 seconds for the keys.
//
// # Standards
//
//	RFC 6376  DKIM                                   done; the reporting tag n= is ignored, and l= is never written
//	RFC 8301  no rsa-sha1, no keys below 1024 bits   done
//	RFC 8463  Ed25519                                done
//	RFC 8601  result names                           done; the Authentication-Results field itself is not written here
//	RFC 8616  internationalised domains              domains and selectors; done for verifying
//	RFC 6541  third-party signatures (ATPS)          not: nobody uses it
//	RFC 4870  DomainKeys                             not: historic
package dkim
