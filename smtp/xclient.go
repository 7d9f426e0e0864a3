package smtp

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// xclientNames are the attributes of XCLIENT (Postfix's XCLIENT_README).
const xclientNames = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

// xclientMechanism is Peer.Mechanism for who authenticated elsewhere.
const xclientMechanism = "XCLIENT"

// client is what XCLIENT says. Nil fields were not given; pointers to zero values take back what was known.
type client struct {
	name, hello, login *string
	addr, local        *netip.Addr
	port, localPort    *uint16
	extended           *bool
}

// maxXClient is the longest value of an attribute, in octets.
const maxXClient = 255

var (
	replyXClientSyntax  = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "attribute not recognized or malformed"}
	replyXClientRefused = &Error{Code: 550, Enhanced: EnhancedCode{5, 7, 0}, Text: "insufficient authorization"}
)

// commandXClient lets a trusted peer say whom it speaks for.
func (m *machine) commandXClient(arg []byte) event {
	switch {
	case !m.offer.Has(ExtXClient):
		return m.fail(replyNotOffered)
	case !m.trusted:
		return m.fail(replyXClientRefused)
	case m.transaction != transactionNone:
		return m.fail(replyNotNow)
	case len(arg) == 0:
		return m.fail(replySyntaxArgument)
	}
	m.client = new(client)
	for word := range bytes.FieldsSeq(arg) {
		key, text, ok := bytes.Cut(word, []byte("="))
		value, err := xtextOctets(string(text))
		if !ok || err != nil || len(value) > maxXClient || !m.client.set(strings.ToUpper(string(key)), value) {
			return m.fail(replyXClientSyntax)
		}
	}
	return eventXClient
}

// set takes an attribute; false when it is malformed.
func (c *client) set(key, value string) (ok bool) {
	known := value != "[UNAVAILABLE]" && value != "[TEMPUNAVAIL]"
	if !known {
		value = ""
	}
	switch key {
	case "NAME":
		c.name = &value
		return !known || validDomain(value)
	case "HELO":
		c.hello = &value
		return !known || validHello([]byte(value))
	case "LOGIN":
		c.login = &value
		return !known || value != "" && isName(value)
	case "PROTO":
		extended := strings.EqualFold(value, "ESMTP")
		c.extended = &extended
		return !known || extended || strings.EqualFold(value, "SMTP")
	case "ADDR":
		c.addr, ok = xclientAddr(value)
	case "DESTADDR":
		c.local, ok = xclientAddr(value)
	case "PORT":
		c.port, ok = xclientPort(value)
	case "DESTPORT":
		c.localPort, ok = xclientPort(value)
	}
	return ok || !known && (key == "ADDR" || key == "DESTADDR" || key == "PORT" || key == "DESTPORT")
}

// isName tells whether s is text without control characters, as names of users are.
func isName(s string) bool {
	for i, r := range s {
		if !isText(s[i:], r) {
			return false
		}
	}
	return true
}

func xclientAddr(s string) (*netip.Addr, bool) {
	var a netip.Addr
	var err error
	if len(s) > 5 && strings.EqualFold(s[:5], "IPV6:") {
		a, err = netip.ParseAddr(s[5:])
		return &a, err == nil && a.Is6() && a.Zone() == ""
	}
	a, err = netip.ParseAddr(s)
	return &a, err == nil && a.Is4()
}

func xclientPort(s string) (*uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	port := uint16(n)
	return &port, err == nil
}

// apply changes what is known of a peer.
func (c *client) apply(p *Peer) {
	addr, local := p.Remote.Addr(), p.Local.Addr()
	port, localPort := p.Remote.Port(), p.Local.Port()
	change(&addr, c.addr)
	change(&local, c.local)
	change(&port, c.port)
	change(&localPort, c.localPort)
	p.Remote, p.Local = netip.AddrPortFrom(addr.Unmap(), port), netip.AddrPortFrom(local.Unmap(), localPort)
	change(&p.Name, c.name)
	change(&p.Hello, c.hello)
	change(&p.Extended, c.extended)
	if c.login != nil {
		p.Identity, p.Mechanism = *c.login, xclientMechanism
		if p.Identity == "" {
			p.Mechanism = ""
		}
	}
}

func change[T any](v, to *T) {
	if to != nil {
		*v = *to
	}
}

// begun tells that the session begins anew, with whom XCLIENT named.
func (m *machine) begun(authenticated bool) {
	m.reset()
	m.hello, m.authenticated = "", authenticated
}
