package imap

import (
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A searchQuery is SEARCH as the client wrote it.
type searchQuery struct {
	key                   SearchKey
	extended              bool // answered by ESEARCH (RFC 4731)
	min, max, all, count  bool
	modseq                bool // a MODSEQ key was used (RFC 7162 s3.1.5)
	left, depth, maxDepth int
	now                   time.Time
	box                   *box
}

func (s *session) parseSearch(p *parser) (q searchQuery, err error) {
	q.left, q.maxDepth, q.now, q.box = s.cfg.limits.SearchKeys, s.cfg.limits.Depth, time.Now(), s.box
	p.sp()
	first := ""
	if first = p.ahead(); first == "RETURN" {
		p.i += len(first)
		p.sp()
		q.extended = true
		p.list(func() {
			switch p.word() {
			case "MIN":
				q.min = true
			case "MAX":
				q.max = true
			case "ALL":
				q.all = true
			case "COUNT":
				q.count = true
			default:
				p.fail("a return option of SEARCH")
			}
		})
		if !q.min && !q.max && !q.count {
			q.all = true // RFC 4731 s3.1
		}
		p.sp()
	}
	if p.ahead() == "CHARSET" {
		p.i += len("CHARSET")
		p.sp()
		cs := strings.ToUpper(string(p.astring()))
		p.sp()
		if p.err == nil && cs != "UTF-8" && cs != "US-ASCII" {
			return q, no("BADCHARSET (US-ASCII UTF-8)", "Charset not supported")
		}
	}
	q.key = SearchKey{Op: SearchAnd}
	for {
		q.key.Keys = append(q.key.Keys, q.parse(p))
		if !p.more() {
			break
		}
	}
	return q, p.end()
}

// ahead gives the word that comes next, in capitals, without taking it.
func (p *parser) ahead() string {
	q := parser{b: p.b, i: p.i, err: p.err}
	if charClass[q.peek()]&isAtomChar == 0 {
		return ""
	}
	return q.word()
}

var searchFlags = map[string]Flags{
	"ANSWERED": FlagAnswered, "DELETED": FlagDeleted, "DRAFT": FlagDraft, "FLAGGED": FlagFlagged, "SEEN": FlagSeen,
}

var searchHeaders = map[string]string{"BCC": "Bcc", "CC": "Cc", "FROM": "From", "SUBJECT": "Subject", "TO": "To"}

var searchDates = map[string]SearchOp{
	"BEFORE": SearchBefore, "ON": SearchOn, "SINCE": SearchSince,
	"SENTBEFORE": SearchSentBefore, "SENTON": SearchSentOn, "SENTSINCE": SearchSentSince,
}

func not(k SearchKey) SearchKey { return SearchKey{Op: SearchNot, Keys: []SearchKey{k}} }

// parse reads one key (RFC 3501 s6.4.4).
func (q *searchQuery) parse(p *parser) (k SearchKey) {
	if q.left--; q.left < 0 && p.err == nil {
		p.err = no("LIMIT", "Too many search keys")
	}
	if q.depth++; q.depth > q.maxDepth && p.err == nil {
		p.err = no("LIMIT", "Search keys nested too deep")
	}
	defer func() { q.depth-- }()
	if p.err != nil {
		return k
	}
	switch c := p.peek(); {
	case c == '(':
		k.Op = SearchAnd
		p.list(func() { k.Keys = append(k.Keys, q.parse(p)) })
		if p.err == nil && len(k.Keys) == 0 {
			p.fail("a search key")
		}
		return k
	case c == '*' || '0' <= c && c <= '9':
		return q.set(p, p.sequence(), false)
	}
	start := p.i
	w := p.word()
	if f, ok := searchFlags[w]; ok {
		return SearchKey{Op: SearchFlag, Flags: f}
	}
	if f, ok := searchFlags[strings.TrimPrefix(w, "UN")]; ok {
		return not(SearchKey{Op: SearchFlag, Flags: f})
	}
	if h, ok := searchHeaders[w]; ok {
		p.sp()
		return SearchKey{Op: SearchHeader, Name: h, Text: q.text(p)}
	}
	if op, ok := searchDates[w]; ok {
		p.sp()
		return SearchKey{Op: op, Time: p.date()}
	}
	switch w {
	case "ALL":
		return SearchKey{Op: SearchAll}
	case "NEW", "RECENT": // nothing is ever recent
		return not(SearchKey{Op: SearchAll})
	case "OLD":
		return SearchKey{Op: SearchAll}
	case "NOT":
		p.sp()
		return not(q.parse(p))
	case "OR":
		p.sp()
		a := q.parse(p)
		p.sp()
		return SearchKey{Op: SearchOr, Keys: []SearchKey{a, q.parse(p)}}
	case "KEYWORD", "UNKEYWORD":
		p.sp()
		k = SearchKey{Op: SearchKeyword, Name: p.atom()}
		if w == "UNKEYWORD" {
			k = not(k)
		}
		return k
	case "UID":
		p.sp()
		return q.set(p, p.sequence(), true)
	case "LARGER", "SMALLER":
		p.sp()
		k = SearchKey{Op: SearchLarger, Size: p.number()}
		if w == "SMALLER" {
			k.Op = SearchSmaller
		}
		return k
	case "HEADER":
		p.sp()
		k = SearchKey{Op: SearchHeader, Name: string(p.astring())}
		p.sp()
		k.Text = q.text(p)
		return k
	case "BODY", "TEXT":
		p.sp()
		k = SearchKey{Op: SearchBody, Text: q.text(p)}
		if w == "TEXT" {
			k.Op = SearchText
		}
		return k
	case "OLDER", "YOUNGER": // RFC 5032
		p.sp()
		n := p.number()
		if p.err == nil && (n == 0 || n > 1<<32) {
			p.fail("an interval in seconds")
		}
		k = SearchKey{Op: SearchOlder, Time: q.now.Add(-time.Duration(n) * time.Second)}
		if w == "YOUNGER" {
			k.Op = SearchYounger
		}
		return k
	case "MODSEQ": // RFC 7162 s3.1.5
		p.sp()
		if p.peek() == '"' { // entry name and type: flags share one modification sequence here
			p.quoted()
			p.sp()
			p.word()
			p.sp()
		}
		q.modseq = true
		return SearchKey{Op: SearchModSeq, ModSeq: ModSeq(p.number())}
	}
	if p.err == nil {
		p.i = start
		p.fail("a search key")
	}
	return k
}

// set turns numbers into UIDs. Unlike elsewhere, numbers that do not exist just find nothing.
func (q *searchQuery) set(p *parser, set string, uid bool) (k SearchKey) {
	k.Op = SearchUID
	if p.err != nil || q.box.exists == 0 {
		return k
	}
	if uid {
		k.UIDs, _, p.err = q.box.resolve(set, true)
		return k
	}
	seqs, err := ParseUIDSet(set, UID(q.box.exists), maxSetRanges)
	if err != nil {
		p.fail("a sequence set")
		return k
	}
	seqs = seqs.Intersect(UIDSetRange(1, UID(q.box.exists)))
	if !seqs.IsEmpty() {
		k.UIDs, _, p.err = q.box.resolve(seqs.String(), false)
	}
	return k
}

// text is a string to look for.
func (q *searchQuery) text(p *parser) string {
	s := p.astring()
	if p.err == nil && !utf8.Valid(s) {
		p.err = no("BADCHARSET (US-ASCII UTF-8)", "Search text is not UTF-8")
	}
	if len(s) > 1000 && p.err == nil {
		p.err = no("LIMIT", "Search text too long")
	}
	return norm.NFC.String(string(s))
}
