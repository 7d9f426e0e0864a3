package mime

import (
	"iter"
	"net/netip"
	"strings"
	"time"
)

// Received is a trace field: what one server says of how a message came to it (RFC 5321 s4.4). Any of it may be missing, and all
// of it may be a lie but in the fields that one's own servers added.
type Received struct {
	From string     // name that the sending host gave in its greeting, or its address literal without brackets
	Host string     // name of the sending host by its address, if the server wrote one
	IP   netip.Addr // address of the sending host; the zero Addr if there is none
	By   string     // the server that wrote the field
	Via  string
	With string    // protocol: "ESMTPS", "LMTP", ... (IANA "Mail Transmission Types")
	ID   string    // queue identifier, without angle brackets
	For  string    // recipient, without angle brackets
	Time time.Time // zero if there is none, or none that can be read
}

type receivedParser struct {
	Received
	named bool // IP is what the server saw
}

// Received yields the trace fields of the header, the newest first.
func (h Header) Received() iter.Seq[Received] {
	return func(yield func(Received) bool) {
		for f := range h.Fields() {
			if f.Is("Received") && !yield(ParseReceived(f.Value())) {
				return
			}
		}
	}
}

// ParseReceived reads the value of a Received field. Servers write it in many ways; what is not understood stays empty.
func ParseReceived(value string) Received {
	var r receivedParser
	if i := strings.LastIndexByte(value, ';'); i >= 0 {
		if t, ok := ParseDate(value[i+1:]); ok {
			r.Time = t
			value = value[:i]
		}
	}
	b := []byte(value)
	if inner, ok := strings.CutPrefix(value, "(from "); ok { // sendmail, of mail that a user of the host sent
		if name, _, ok := strings.Cut(inner, ")"); ok {
			r.word("from", strings.TrimSpace(name), 0)
			if i := strings.IndexByte(r.From, ' '); i >= 0 {
				r.comment(r.From[i:])
				r.From = r.From[:i]
			}
		}
	}
	var clause string // the keyword whose words are read
	words := 0        // of the clause, comments too
	for pos := 0; pos < len(b); {
		switch c := b[pos]; {
		case isSpace(c):
			pos++
			continue
		case c == '(':
			end := skipComment(b, pos)
			if clause == "from" {
				r.comment(string(commentText(b[pos:end])))
			}
			words++
			pos = end
			continue
		}
		start := pos
		for pos < len(b) && !isSpace(b[pos]) && b[pos] != '(' && b[pos] != ';' {
			pos++
		}
		word := string(b[start:pos])
		if pos == start {
			pos++ // a stray semicolon
			continue
		}
		if key := strings.ToLower(word); isReceivedClause(key) && !(words == 0 && clause != "") {
			clause, words = key, 0
			continue
		}
		r.word(clause, word, words)
		words++
	}
	return r.Received
}

func isReceivedClause(word string) bool {
	switch word {
	case "from", "by", "via", "with", "id", "for":
		return true
	}
	return false
}

// word takes the n-th word of a clause. The first one counts.
func (r *receivedParser) word(clause, word string, n int) {
	switch {
	case clause == "from" && n > 0 && word[0] == '[' && !r.named:
		r.comment(word)
	case clause == "with" && n == 1 && r.With == "Microsoft":
		r.With += " " + word // "Microsoft SMTP Server"
	}
	target := map[string]*string{"from": &r.From, "by": &r.By, "via": &r.Via, "with": &r.With, "id": &r.ID, "for": &r.For}[clause]
	if target == nil || *target != "" || n > 0 {
		return
	}
	word = strings.Trim(strings.TrimRight(word, ",;"), "<>")
	if clause == "from" || clause == "by" {
		if ip, ok := hostAddr(word); ok {
			word = ip.String()
			if clause == "from" && !r.named {
				r.IP = ip
			}
		}
	}
	*target = word
}

// comment takes a comment after the name of the sending host: its greeting, its name, its address. An address there is what
// the server saw, so it counts more than one in the greeting.
func (r *receivedParser) comment(text string) {
	for i, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' || c == ';' || c == '(' || c == ')' }) {
		if _, host, ok := strings.Cut(word, "@"); ok { // "user@[192.0.2.1]"
			word = host
		}
		name, literal, bracket := strings.Cut(word, "[") // "host[192.0.2.1]"
		if !bracket {
			name, literal = "", word
		}
		ip, ok := hostAddr(literal)
		if ok && !r.named {
			r.IP, r.named = ip, true
		}
		switch {
		case r.Host != "":
		case ok:
			r.Host = name
		case i == 0 && strings.Contains(word, ".") && !strings.ContainsAny(word, "=:/[<"):
			r.Host = strings.TrimSuffix(word, ".")
		}
	}
}

// hostAddr reads an address with or without brackets, a port, and the tag of RFC 5321 s4.1.3.
func hostAddr(s string) (netip.Addr, bool) {
	s = strings.TrimPrefix(s, "[")
	s, _, _ = strings.Cut(s, "]")
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		s = s[5:]
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap(), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap(), err == nil
}
