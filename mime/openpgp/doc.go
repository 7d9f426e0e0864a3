// Package openpgp signs, encrypts, decrypts and verifies messages with OpenPGP in MIME (PGP/MIME, RFC 3156), and reads and writes the Autocrypt field.
//
// # Sending
//
// A [Sender] takes a composed letter, or any mime.Content, and gives a message that can be opened again and again, and whose size is known:
//
//	to, err := openpgp.Recipients(ctx, directory, "bob@example.net", "alice@example.org") // and oneself, to read it later
//	if err != nil {
//		return err // errors.Is(err, openpgp.NoKey): ask whether it shall go in clear
//	}
//	s := openpgp.Sender{Key: alice, To: to, Passphrase: ask}
//	msg, err := s.EncryptAndSign(ctx, letter)
//	if err != nil {
//		return err
//	}
//	defer msg.Close()
//	result, err := conn.Send(ctx, envelope, msg)
//
// Keys come from [ParseKeys] or [GenerateKey]. [Sender.Sign] signs only, [Sender.Encrypt] encrypts only. What is signed is made canonical first: 7 bits, line ends CRLF, no white
// space at line ends, no line that starts with "From " (RFC 3156 s3). Recipients in Hidden are not named in the message.
//
// # Receiving
//
//	r := openpgp.Receiver{Keys: mine, Senders: directory, Passphrase: ask}
//	in, err := r.Decrypt(ctx, msg) // or r.Verify
//	if err != nil {
//		return err // errors.Is tells NoKey, Tampered, Passphrase, ...
//	}
//	defer in.Close()
//	text, err := in.Message().Text()
//	if sig, ok := in.Signer(); ok {
//		fmt.Println("signed by", sig.Key)
//	}
//
// Decrypt returns a message only after all of it was decrypted and found unchanged (MDC or AEAD); encrypted data without such protection is refused ([Tampered]). A signature is good only if it was made with a key that
// the [Lookup] has for an address in the From field: the signature of a stranger shows nothing. Verify returns a message whose signature is not good together with the error, to be shown like
// one that is not signed. Both look at the message as a whole: signed parts inside of a list's footer, and blocks inside of plain text (inline PGP), are not looked for.
//
// # Protected headers
//
// The fields of the header are signed or encrypted with the body, as RFC 9788 says; the parameter of the draft before it (protected-headers="v1") is written too, because most programs look
// for that. Outside of an encrypted message Subject is "...", and Comments, Keywords and Autocrypt-Gossip are missing. A message that is opened has its own fields again. From stays that of
// the outside, where servers judge it, and what only stands outside of a message with RFC 9788's protection and is not of the way (Reply-To, Cc, ...) is dropped. The fields of a signed message count only under a good signature.
// No copy of the subject is put into the text for old programs (Legacy Display), and one that others put there is not taken out.
//
// # Limits
//
// [Limits] bound what a message may cost: 64 MiB as received, and 64 MiB decrypted and decompressed. In one message 10 signatures are checked, 100 session keys tried, 10 authors and 20 keys of each looked up; a detached
// signature has at most 64 KiB, keys 8 MiB, an Autocrypt field 10 KiB. Memory does not grow with the message: each copy is in memory up to 256 KiB, else in an unlinked temporary file that goes with Close.
//
// # Algorithms
//
// Keys that are made are Ed25519 with Curve25519, version 4, which every program knows; version 6 and RSA on demand. Data is encrypted with AES-256 and MDC, or AEAD if all keys announce it. SHA-1 and MD5 in signatures of messages, RSA
// below 2047 bits, DSA and ElGamal are refused.
//
// # Standards
//
//	RFC 3156  PGP/MIME                       done
//	RFC 1847  multipart/signed, /encrypted   done
//	RFC 9580  OpenPGP                        what ProtonMail/go-crypto does: versions 4 and 6 of keys, SEIPD 1 and 2; not: passphrases instead of keys, third-party revocation
//	RFC 9788  header protection              done, but for Legacy Display, and for profiles other than the baseline
//	Autocrypt Level 1                        the fields, with gossip; not: what a program keeps of its peers (s2.3), Setup Messages
package openpgp
