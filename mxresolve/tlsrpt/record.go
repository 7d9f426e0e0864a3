package tlsrpt

import (
	"errors"
	"strings"
)

// A Record is where a domain wants its reports (RFC 8460 s3).
type Record struct {
	URIs []string // mailto: and https:, of which one is enough
}

// ErrNoRecord says that none of some texts is a record, more than one is, or the one is malformed: no reports are wanted.
var ErrNoRecord = errors.New("tlsrpt: not exactly one valid record")

// ParseRecord finds the record among the TXT records of _smtp._tls and a domain.
func ParseRecord(texts []string) (*Record, error) {
	found := ""
	for _, t := range texts {
		if version, _, _ := strings.Cut(t, ";"); strings.TrimRight(version, " \t") != "v=TLSRPTv1" {
			continue
		}
		if found != "" {
			return nil, ErrNoRecord
		}
		found = t
	}
	var r Record
	for i, f := range strings.Split(found, ";") {
		name, value, ok := strings.Cut(strings.Trim(f, " \t"), "=")
		switch {
		case i == 0 || name == "" && !ok:
		case !ok:
			return nil, ErrNoRecord
		case name == "rua" && r.URIs == nil:
			for u := range strings.SplitSeq(value, ",") {
				u = strings.Trim(u, " \t")
				if scheme, rest, _ := strings.Cut(u, ":"); rest != "" && (strings.EqualFold(scheme, "mailto") || strings.EqualFold(scheme, "https")) {
					r.URIs = append(r.URIs, u) // other schemes may come
				}
			}
		}
	}
	if len(r.URIs) == 0 {
		return nil, ErrNoRecord
	}
	return &r, nil
}
