package heuristics

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/gomailroom/mailroom/spam"
)

type helloCheck struct{ o Options }

func (helloCheck) Name() string      { return "hello" }
func (helloCheck) Stage() spam.Stage { return spam.StageSender }

// Check looks at the argument of EHLO: a host name, or an address in brackets (RFC 5321 s4.1.1.1).
func (c helloCheck) Check(_ context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Identity != "" || m.Hello == "" || !m.Remote.IsValid() || m.Remote.IsLoopback() {
		return nil, nil
	}
	hello := strings.ToLower(strings.TrimSuffix(m.Hello, "."))
	symbol := ""
	switch {
	case bareAddress(hello):
		symbol = "HELO_BARE_IP"
	case hello == "localhost" || strings.HasPrefix(hello, "localhost."):
		symbol = "HELO_LOCALHOST"
	case c.ours(m, hello):
		symbol = "HELO_OURS"
	case strings.HasPrefix(hello, "["):
		if literal(hello) != m.Remote.Unmap() {
			symbol = "HELO_LITERAL_DIFFERS"
		}
	case !strings.Contains(hello, "."):
		symbol = "HELO_NOT_FQDN"
	}
	if symbol == "" {
		return nil, nil
	}
	return []spam.Symbol{{Name: symbol, Detail: printable(m.Hello)}}, nil
}

func (c helloCheck) ours(m *spam.Mail, hello string) bool {
	for _, name := range append([]string{m.Hostname}, c.o.Names...) {
		if name != "" && strings.EqualFold(name, hello) {
			return true
		}
	}
	return false
}

func bareAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// literal reads an address literal (RFC 5321 s4.1.3).
func literal(s string) netip.Addr {
	s = strings.TrimPrefix(strings.Trim(s, "[]"), "ipv6:")
	a, _ := netip.ParseAddr(s)
	return a.Unmap()
}

type hostCheck struct{ r spam.Resolver }

func (hostCheck) Name() string      { return "host" }
func (hostCheck) Stage() spam.Stage { return spam.StageSender }

// Check asks for the name of the sending host, and whether the name has the host's address (RFC 8601 s2.7.3, iprev).
func (c hostCheck) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if c.r == nil || m.Identity != "" || !m.Remote.IsValid() || m.Remote.IsLoopback() || m.Remote.IsPrivate() {
		return nil, nil
	}
	names, err := c.r.LookupAddr(ctx, m.Remote.Unmap().String())
	switch {
	case notFound(err) || err == nil && len(names) == 0:
		return []spam.Symbol{{Name: "RDNS_NONE", Detail: m.Remote.String()}}, nil
	case err != nil:
		return []spam.Symbol{{Name: "RDNS_TEMPERROR", Detail: printable(err.Error())}}, nil
	}
	temporary := false
	for _, name := range names[:min(len(names), 5)] {
		addresses, err := c.r.LookupNetIP(ctx, "ip", name)
		temporary = temporary || err != nil && !notFound(err)
		for _, a := range addresses {
			if a.Unmap() == m.Remote.Unmap() {
				return c.generic(name, m.Remote), nil
			}
		}
	}
	if temporary {
		return []spam.Symbol{{Name: "RDNS_TEMPERROR", Detail: printable(names[0])}}, nil
	}
	return []spam.Symbol{{Name: "RDNS_MISMATCH", Detail: printable(names[0])}}, nil
}

// generic tells names that are made from the address: they belong to dial-up lines rather than to mail servers.
func (hostCheck) generic(name string, remote netip.Addr) []spam.Symbol {
	remote = remote.Unmap()
	if !remote.Is4() {
		return nil
	}
	digits := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	found := 0
	for octet := range strings.SplitSeq(remote.String(), ".") {
		for i, d := range digits {
			if strings.TrimLeft(d, "0") == strings.TrimLeft(octet, "0") {
				digits[i] = "-"
				found++
				break
			}
		}
	}
	if found == 4 {
		return []spam.Symbol{{Name: "RDNS_GENERIC", Detail: printable(name)}}
	}
	return nil
}

func notFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}
