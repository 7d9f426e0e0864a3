// Package smime signs, encrypts, decrypts and verifies messages with S/MIME (RFC 8551).
//
// # Sending
//
// A [Sender] takes a composed letter, or any mime.Content, and gives a message that can be opened again and again, and whose size is known:
//
//	alice, err := smime.ParseIdentity(pemBytes) // private key, certificate, intermediate certificates
//	to, err := smime.Recipients(ctx, directory, "bob@example.net", "alice@example.org") // and oneself, to read it later
//	if err != nil {
//		return err // errors.Is(err, smime.NoKey): ask whether it shall go in clear
//	}
//	s := smime.Sender{Identity: alice, To: to}
//	msg, err := s.EncryptAndSign(ctx, letter)
//	if err != nil {
//		return err
//	}
//	defer msg.Close()
//	result, err := conn.Send(ctx, envelope, msg)
//
// [Sender.Sign] signs so that every program shows the text, [Sender.SignOpaque] so that nothing on the way can touch it, [Sender.Encrypt] encrypts only. What is signed is made canonical first:
// 7 bits, line ends CRLF, and no white space at line ends.
//
// # Receiving
//
//	r := smime.Receiver{Identities: mine, Roots: roots}
//	in, err := r.Decrypt(ctx, msg) // or r.Verify
//	if err != nil {
//		return err // errors.Is tells NoKey, Tampered, ...
//	}
//	defer in.Close()
//	text, err := in.Message().Text()
//	if sig, ok := in.Signer(); ok {
//		fmt.Println("signed by", sig.Certificate.Subject)
//	}
//
// A signature is good only if the certificate leads to a root, is meant for mail and signatures, is good at the time, and is for an address in the From field. Revocation is not looked up: see
// Receiver.Check. Verify returns a message whose signature is not good together with the error, to be shown like one that is not signed. Both look at the message as a whole, layer by layer: an [Opened]
// message is a Content, and can be given to Decrypt or Verify again (triple wrapping).
//
// Enveloped-data with CBC, which most programs send, does not show changes by itself (EFAIL): Opened.Authenticated is false, and without a good signature nothing is to be loaded from the network for such a message.
// AES256GCM makes messages that cannot be changed, for recipients whose programs know RFC 8551.
//
// # Protected headers
//
// The fields of the header are signed or encrypted with the body, as RFC 9788 says. Outside of an encrypted message Subject is "...", and Comments and Keywords are missing. A message that is opened has its own
// fields again. From stays that of the outside, where servers judge it. The fields of a signed message count only under a good signature. Package openpgp does the same, and says more of it.
//
// # Limits
//
// [Limits] bound what a message may cost: 64 MiB as received, and 64 MiB decrypted. 10 signatures and 50 certificates are read, values are nested at most 16 deep in each other, and the certificates, recipients and signers have 1 MiB each.
// Memory does not grow with the message: each copy is in memory up to 256 KiB, else in an unlinked temporary file that goes with Close. GCM is the exception: its text is in memory, at most 64 MiB, until its tag is known.
//
// # Algorithms
//
// Signatures: RSA PKCS #1 v1.5 and RSASSA-PSS (made with SHA-256), ECDSA, Ed25519, with SHA-256, SHA-384 and SHA-512. SHA-1, MD5, DSA, and RSA below 2048 bits are refused as [Unsupported]. Keys: RSA PKCS #1 v1.5 and RSAES-OAEP,
// ECDH on P-256, P-384, P-521 and X25519. Ciphers: AES in CBC and GCM, and triple DES (read) for old mail.
//
// [PSSAndOAEP] is for those whose programs all know RFC 8551. X25519 is as RFC 8418 says, but few programs have it to compare with: OpenSSL has not.
//
// The reading of CMS is this package's own. What there is in Go reads a message as one tree in memory, by recursion: some six million octets that only begin one value after another overflow
// its stack, which ends the process and cannot be recovered from. Here data is streamed, and nested at most 32 deep. The tests exchange messages with github.com/smallstep/pkcs7 and OpenSSL.
//
// # Standards
//
//	RFC 8551  S/MIME 4.0                          done, but for making compressed-data, X448, and keeping capabilities of others
//	RFC 8550  certificates                        addresses, key usage, chains; revocation by a hook
//	RFC 5652  CMS                                 signed, enveloped; read in BER, written in DER; not: countersignatures, passwords, key encryption keys
//	RFC 5083, 5084  authenticated enveloping      done with AES-GCM
//	RFC 5753  elliptic curves                     ephemeral-static ECDH, ECDSA
//	RFC 8418  X25519                              done with HKDF
//	RFC 3274  compressed-data                     read, within Limits; it is not made, since few read it and the text's length shows through the encryption
//	RFC 1847  multipart/signed                    done
//	RFC 9788  header protection                   as in package openpgp
//	RFC 2634  enhanced services                   triple wrapping; not: receipts, labels, mailing lists, signing certificates
package smime
