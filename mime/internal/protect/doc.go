// Package protect is what PGP/MIME and S/MIME have in common: the canonical form of what is signed, header protection (RFC 9788), and messages
// put together of pieces that stay where they are.
package protect
