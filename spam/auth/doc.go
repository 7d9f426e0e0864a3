// Package auth establishes who sent a message: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989), as checks for package spam and as
// functions of their own. Results are those of RFC 8601.
package auth
