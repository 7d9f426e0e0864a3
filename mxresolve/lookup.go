package mxresolve

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxConfirm is how many names of one address are looked up: whoever owns the reverse zone could list thousands.
const maxConfirm = 10

// notFound is the cause of errors about what does not exist.
func notFound(name, text string) *net.DNSError {
	return &net.DNSError{Name: name, Err: text, IsNotFound: true}
}

// lookupError is the error for an answer that says nothing.
func lookupError(domain string, a *answer) *Error {
	k := KindLookupFailed
	if a.ctxErr != nil && a.err.UnwrapErr != nil {
		k = KindCanceled
	}
	e := newError(domain, k)
	e.Detail, e.Extended, e.Err = a.err.Err, a.ede, a.err
	return e
}

// look settles a question for the Lookup methods, where nothing found is an error as well.
func (r *Resolver) look(ctx context.Context, name string, typ uint16) (*answer, error) {
	n, err := lookupName(name)
	if err != nil {
		e := newError(name, KindInvalidDomain)
		e.Err = notFound(name, "not a domain name") // as package net has it
		return nil, e
	}
	a := r.start().ask(ctx, question{n, typ})
	return a, answerError(name, typ, a)
}

func answerError(name string, typ uint16, a *answer) error {
	var e *Error
	switch a.outcome {
	case found:
		return nil
	case failed:
		return lookupError(name, a)
	case nxDomain:
		e = newError(name, KindNoSuchDomain)
		e.Err = notFound(name, "no such host")
	case noData:
		e = newError(name, KindNoRecord)
		e.Err = notFound(name, "no "+typeText(typ)+" record")
	}
	e.Detail, e.Extended = typeText(typ), a.ede
	return e
}

// LookupTXT returns the TXT records of name. The strings of one record are joined, as SPF, DKIM and DMARC want it.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.look(ctx, name, typeTXT)
	if err != nil {
		return nil, err
	}
	return a.texts(), nil
}

// LookupMX returns the MX records of name as they are, also a null MX, sorted by preference. Names end in a dot, as
// package net has it. To deliver mail use Resolve.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := r.look(ctx, name, typeMX)
	if err != nil {
		return nil, err
	}
	list := make([]net.MX, len(a.data))
	out := make([]*net.MX, len(a.data))
	for i := range a.data {
		list[i] = net.MX{Host: a.data[i].text + ".", Pref: a.data[i].pref}
		out[i] = &list[i]
	}
	slices.SortStableFunc(out, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return out, nil
}

// LookupNetIP returns the addresses of host; network is "ip", "ip4" or "ip6". With "ip", one family that fails does not
// spoil the other.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	types := []uint16{typeAAAA, typeA}
	switch network {
	case "ip":
	case "ip4":
		types = types[1:]
	case "ip6":
		types = types[:1]
	default:
		e := newError(host, KindInvalidDomain)
		e.Err = net.UnknownNetworkError(network)
		e.Detail = "unknown network " + strconv.Quote(network)
		return nil, e
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip = ip.Unmap(); network == "ip4" && !ip.Is4() || network == "ip6" && ip.Is4() {
			e := newError(host, KindNoRecord)
			e.Err = notFound(host, "address of the other family")
			return nil, e
		}
		return []netip.Addr{ip}, nil
	}
	name, err := lookupName(host)
	if err != nil {
		e := newError(host, KindInvalidDomain)
		e.Err = notFound(host, "not a domain name")
		return nil, e
	}
	qs := make([]question, len(types))
	for i, t := range types {
		qs[i] = question{name, t}
	}
	var addrs []netip.Addr
	var worst error
	for i, a := range r.start().askAll(ctx, qs) {
		addrs = append(addrs, a.addrs...)
		if err := answerError(host, types[i], a); err != nil && (worst == nil || a.outcome == failed) {
			worst = err
		}
	}
	if len(addrs) == 0 {
		return nil, worst
	}
	return addrs, nil
}

// LookupAddr returns the names that the reverse zone gives to an IP address. They end in a dot, as package net has it,
// and are only a claim: see ForwardConfirmed.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		e := newError(addr, KindInvalidDomain)
		e.Err = notFound(addr, "not an IP address")
		return nil, e
	}
	a, err := r.look(ctx, reverseName(ip.Unmap()), typePTR)
	if err != nil {
		return nil, err
	}
	names := a.texts()
	for i := range names {
		names[i] += "."
	}
	return names, nil
}

// ForwardConfirmed returns those names of addr that lead back to it, without final dot: a name that both the network's
// and the name's owner agree on. At most 10 names are tried. None: an error with IsNotFound, or a temporary one where
// a lookup failed that might have confirmed a name.
func (r *Resolver) ForwardConfirmed(ctx context.Context, addr netip.Addr) ([]string, error) {
	addr = addr.Unmap().WithZone("")
	names, err := r.LookupAddr(ctx, addr.String())
	if err != nil {
		return nil, err
	}
	typ := typeAAAA
	if addr.Is4() {
		typ = typeA
	}
	var qs []question
	for _, n := range names[:min(len(names), maxConfirm)] {
		if n, err := lookupName(n); err == nil {
			qs = append(qs, question{n, typ})
		}
	}
	var out []string
	var temporary error
	for i, a := range r.start().askAll(ctx, qs) {
		if a.outcome == failed && temporary == nil {
			temporary = lookupError(qs[i].name, a)
		}
		if slices.Contains(a.addrs, addr) {
			out = append(out, qs[i].name)
		}
	}
	if len(out) == 0 {
		if temporary != nil {
			return nil, temporary
		}
		e := newError(addr.String(), KindNoRecord)
		e.Err = notFound(addr.String(), "no name leads back to the address")
		e.Detail = "no name leads back to the address"
		return nil, e
	}
	return out, nil
}

// reverseName is where the names of an address are kept (RFC 1035 s3.5, RFC 3596 s2.5).
func reverseName(ip netip.Addr) string {
	var b strings.Builder
	if ip.Is4() {
		a := ip.As4()
		for i := 3; i >= 0; i-- {
			b.WriteString(strconv.Itoa(int(a[i])))
			b.WriteByte('.')
		}
		return b.String() + "in-addr.arpa"
	}
	const hex = "0123456789abcdef"
	a := ip.As16()
	for i := 15; i >= 0; i-- {
		b.Write([]byte{hex[a[i]&15], '.', hex[a[i]>>4], '.'})
	}
	return b.String() + "ip6.arpa"
}
