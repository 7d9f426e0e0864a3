package smtp

import "strings"

// rcptLimit counts the recipients of one transaction against what the server takes (RFC 9422 s4.2, s4.3). Zero fields are no limit.
type rcptLimit struct {
	recipients, domains int

	count int
	seen  map[string]bool
}

// allows tells whether one more recipient fits, and counts it if so.
func (l *rcptLimit) allows(domain string) bool {
	if l.recipients > 0 && l.count >= l.recipients {
		return false
	}
	if l.domains > 0 {
		domain = strings.ToLower(domain)
		if !l.seen[domain] && len(l.seen) >= l.domains {
			return false
		}
		if l.seen == nil {
			l.seen = map[string]bool{}
		}
		l.seen[domain] = true
	}
	l.count++
	return true
}

// tooMany tells whether a recipient was refused only because others of the transaction were taken. RFC 5321 s4.5.3.1.10: 452 means that, and so does
// 552 of old servers. Either is also used for a full mailbox, which an enhanced code tells apart (RFC 3463: X.5.3 is too many recipients, X.2.2 a full mailbox); without one it
// costs one more transaction to know.
func tooMany(r Reply) bool {
	switch r.Enhanced {
	case EnhancedCode{}, EnhancedCode{4, 5, 3}, EnhancedCode{5, 5, 3}:
		return r.Code == 452 || r.Code == 552
	}
	return false
}
