package report

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// A DMARC aggregate report says how the mail of a day that bore the name of a domain fared (RFC 9990, RFC 7489 appendix C). Words are in lower case, as the
// schema has them.
type DMARC struct {
	Version      string
	OrgName      string
	Email        string
	ExtraContact string
	ReportID     string
	Begin, End   time.Time
	Errors       []string
	Generator    string

	Policy     DMARCPolicy
	Records    []DMARCRecord
	Extensions []Extension
}

// DMARCPolicy is what the domain published.
type DMARCPolicy struct {
	Domain          string
	ADKIM, ASPF     string // r or s
	P, SP, NP       string // none, quarantine, reject
	Pct             string // percentage, of RFC 7489
	Testing         bool   // t=y, of RFC 9989
	DiscoveryMethod string // psl, treewalk
	FO              string
}

// A DMARCRecord counts messages that are alike.
type DMARCRecord struct {
	SourceIP    netip.Addr
	Count       int64
	Disposition string // none, pass, quarantine, reject
	DKIM, SPF   string // pass or fail, alignment included
	Reasons     []DMARCReason

	HeaderFrom, EnvelopeFrom, EnvelopeTo string

	DKIMResults []DKIMResult
	SPFResults  []SPFResult
	Extensions  []Extension
}

// A DMARCReason says why a policy was not applied.
type DMARCReason struct{ Type, Comment string }

// DKIMResult is what became of one signature.
type DKIMResult struct{ Domain, Selector, Result, HumanResult string }

// SPFResult is what became of an SPF check.
type SPFResult struct{ Domain, Scope, Result, HumanResult string }

// An Extension is a further element (RFC 9990 s3.1.1.16): its name, and what defines it.
type Extension struct{ Name, Definition string }

// ParseDMARC reads the aggregate report that is attached to a message, or returns [ErrNone].
func ParseDMARC(m *mime.Message) (*DMARC, error) {
	failed := ErrNone
	for b, err := range attached(m, ".xml", "application/gzip", "application/x-gzip", "application/gzip-compressed", "application/zip", "application/x-zip",
		"application/x-zip-compressed", "application/xml", "text/xml") {
		if err == nil {
			var r *DMARC
			if r, err = decodeDMARC(b); err == nil {
				return r, nil
			}
		}
		if errors.Is(failed, ErrNone) {
			failed = err
		}
	}
	return nil, failed
}

// ReadDMARC reads an aggregate report: XML, or in gzip or zip.
func ReadDMARC(r io.Reader) (*DMARC, error) {
	b, err := unpack(r)
	if err != nil {
		return nil, err
	}
	return decodeDMARC(b)
}
