package smtp

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
)

// XClient is what a proxy tells a server of the client that it speaks for, by the command XCLIENT of Postfix. Zero fields are not told, and neither are those that the server does not
// name in its offer.
type XClient struct {
	Name        string         // the client's host name
	Addr        netip.AddrPort // where it connects from; the port may be 0
	Hello       string         // what it said in EHLO
	Proto       string         // "SMTP" or "ESMTP"
	Login       string         // whom it authenticated as
	Destination netip.AddrPort // where it connected to
}

// xclient says XCLIENT. The server then begins anew: its greeting is the reply, and EHLO follows.
func (c *Conn) xclient(ctx context.Context, hello string) error {
	x := c.d.XClient
	if !c.has("XCLIENT") {
		return local(EnhancedCode{5, 3, 3}, "XCLIENT", ErrNoXClient)
	}
	port := func(a netip.AddrPort) string {
		if a.Port() == 0 {
			return ""
		}
		return strconv.Itoa(int(a.Port()))
	}
	addr := func(a netip.AddrPort) string {
		ip := a.Addr().Unmap().WithZone("")
		if ip.Is6() {
			return "IPV6:" + ip.String()
		}
		if ip.Is4() {
			return ip.String()
		}
		return ""
	}
	offered := strings.Fields(strings.ToUpper(c.caps["XCLIENT"]))
	line := []byte("XCLIENT")
	for _, a := range [...]struct{ name, value string }{
		{"NAME", x.Name}, {"ADDR", addr(x.Addr)}, {"PORT", port(x.Addr)}, {"PROTO", x.Proto}, {"HELO", x.Hello}, {"LOGIN", x.Login},
		{"DESTADDR", addr(x.Destination)}, {"DESTPORT", port(x.Destination)},
	} {
		for _, o := range offered {
			if a.value != "" && o == a.name {
				line = appendXtext(append(append(append(line, ' '), a.name...), '='), a.value)
			}
		}
	}
	if len(line) == len("XCLIENT") { // there is nothing to tell, or nothing that may be told
		return nil
	}
	r, err := c.command(ctx, c.timeouts.Command, string(line), "")
	if err != nil {
		return err
	}
	if err := c.expect(r, 2, "XCLIENT"); err != nil {
		return err
	}
	return c.hello(ctx, hello)
}
