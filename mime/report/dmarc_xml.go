package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

const (
	maxRecords  = 20000
	maxElements = 1000 // from one record to the next
	maxDepth    = 32
)

var errNotFeedback = errors.New("report: the XML document is no DMARC report")

// dmarcXML is the document. Namespaces are not looked at: reports have several, or none.
type dmarcXML struct {
	XMLName  xml.Name
	Version  string `xml:"version"`
	Metadata struct {
		OrgName      string   `xml:"org_name"`
		Email        string   `xml:"email"`
		ExtraContact string   `xml:"extra_contact_info"`
		ReportID     string   `xml:"report_id"`
		Begin        string   `xml:"date_range>begin"`
		End          string   `xml:"date_range>end"`
		Errors       []string `xml:"error"`
		Generator    string   `xml:"generator"`
	} `xml:"report_metadata"`
	Policy struct {
		Domain    string `xml:"domain"`
		ADKIM     string `xml:"adkim"`
		ASPF      string `xml:"aspf"`
		P         string `xml:"p"`
		SP        string `xml:"sp"`
		NP        string `xml:"np"`
		Pct       string `xml:"pct"`
		Testing   string `xml:"testing"`
		Discovery string `xml:"discovery_method"`
		FO        string `xml:"fo"`
	} `xml:"policy_published"`
	Records    []dmarcRow     `xml:"record"`
	Extensions []extensionXML `xml:"extensions>extension"`
}

type dmarcRow struct {
	SourceIP string `xml:"row>source_ip"`
	Count    string `xml:"row>count"`
	Policy   struct {
		Disposition string `xml:"disposition"`
		DKIM        string `xml:"dkim"`
		SPF         string `xml:"spf"`
		Reasons     []struct {
			Type    string `xml:"type"`
			Comment string `xml:"comment"`
		} `xml:"reason"`
	} `xml:"row>policy_evaluated"`
	HeaderFrom   string `xml:"identifiers>header_from"`
	EnvelopeFrom string `xml:"identifiers>envelope_from"`
	EnvelopeTo   string `xml:"identifiers>envelope_to"`
	DKIM         []struct {
		Domain   string `xml:"domain"`
		Selector string `xml:"selector"`
		Result   string `xml:"result"`
		Human    string `xml:"human_result"`
	} `xml:"auth_results>dkim"`
	SPF []struct {
		Domain string `xml:"domain"`
		Scope  string `xml:"scope"`
		Result string `xml:"result"`
		Human  string `xml:"human_result"`
	} `xml:"auth_results>spf"`
	Extensions []extensionXML `xml:"extensions>extension"`
}

type extensionXML struct {
	Name       string `xml:"name,attr"`
	Definition string `xml:"definition,attr"`
}

// boundedXML refuses documents that are made to cost more than their length.
type boundedXML struct {
	d                        *xml.Decoder
	depth, records, elements int // elements since the last record began
}

func (b *boundedXML) Token() (xml.Token, error) {
	t, err := b.d.RawToken()
	switch e := t.(type) {
	case xml.StartElement:
		b.depth++
		b.elements++
		if e.Name.Local == "record" {
			b.records++
			b.elements = 0
		}
		if b.depth > maxDepth || b.records > maxRecords || b.elements > maxElements {
			return nil, ErrTooLarge
		}
	case xml.EndElement:
		b.depth--
	case xml.Directive:
		if bytes.HasPrefix(bytes.ToUpper(e), []byte("DOCTYPE")) {
			return nil, errors.New("report: the XML document declares a type") // and with it entities
		}
	}
	return t, err
}

func decodeDMARC(b []byte) (*DMARC, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '<' {
		return nil, ErrNone
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) { return mime.NewCharsetReader(charset, r), nil }
	d.Strict = false
	var doc dmarcXML
	if err := xml.NewTokenDecoder(&boundedXML{d: d}).Decode(&doc); err != nil {
		return nil, fmt.Errorf("report: DMARC report: %w", err)
	}
	if doc.XMLName.Local != "feedback" {
		return nil, errNotFeedback
	}
	return doc.report(), nil
}

func (doc *dmarcXML) report() *DMARC {
	m, p := &doc.Metadata, &doc.Policy
	r := &DMARC{
		Version: text(doc.Version), OrgName: text(m.OrgName), Email: text(m.Email), ExtraContact: text(m.ExtraContact), ReportID: text(m.ReportID),
		Begin: seconds(m.Begin), End: seconds(m.End), Generator: text(m.Generator),
		Policy: DMARCPolicy{Domain: text(p.Domain), ADKIM: word(p.ADKIM), ASPF: word(p.ASPF), P: word(p.P), SP: word(p.SP), NP: word(p.NP), Pct: text(p.Pct),
			Testing: word(p.Testing) == "y", DiscoveryMethod: word(p.Discovery), FO: text(p.FO)},
		Extensions: extensions(doc.Extensions),
	}
	for _, e := range m.Errors {
		r.Errors = append(r.Errors, text(e))
	}
	for i := range doc.Records {
		r.Records = append(r.Records, doc.Records[i].record())
	}
	return r
}

func (row *dmarcRow) record() DMARCRecord {
	r := DMARCRecord{
		Disposition: word(row.Policy.Disposition), DKIM: word(row.Policy.DKIM), SPF: word(row.Policy.SPF),
		HeaderFrom: text(row.HeaderFrom), EnvelopeFrom: text(row.EnvelopeFrom), EnvelopeTo: text(row.EnvelopeTo), Extensions: extensions(row.Extensions),
	}
	r.SourceIP, _ = netip.ParseAddr(text(row.SourceIP))
	r.Count, _ = strconv.ParseInt(text(row.Count), 10, 64)
	for _, why := range row.Policy.Reasons {
		r.Reasons = append(r.Reasons, DMARCReason{word(why.Type), text(why.Comment)})
	}
	for _, k := range row.DKIM {
		r.DKIMResults = append(r.DKIMResults, DKIMResult{text(k.Domain), text(k.Selector), word(k.Result), text(k.Human)})
	}
	for _, s := range row.SPF {
		r.SPFResults = append(r.SPFResults, SPFResult{text(s.Domain), word(s.Scope), word(s.Result), text(s.Human)})
	}
	return r
}

func extensions(list []extensionXML) (out []Extension) {
	for _, e := range list {
		out = append(out, Extension(e))
	}
	return out
}

func text(s string) string { return strings.TrimSpace(s) }
func word(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// seconds reads a time in seconds since 1970; a number that is none is the zero time.
func seconds(s string) time.Time {
	n, err := strconv.ParseInt(text(s), 10, 40)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
