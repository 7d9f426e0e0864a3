package queue

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/gomailroom/mailroom/smtp"
)

// A Dialed says how a connection to a host came about, or did not.
type Dialed struct {
	Local, Remote net.Addr     // nil when there was no connection
	TLS           smtp.TLSInfo // zero when Err is not nil
	Err           error
}

// dial makes a connection to a host, and tells of it who wants to know.
func (h *Host) dial(ctx context.Context, d smtp.Dialer, addr string) (*smtp.Conn, error) {
	if h.Dialed == nil {
		return d.Dial(ctx, addr)
	}
	var done Dialed
	inner := d.NetDial
	if inner == nil {
		inner = (&net.Dialer{LocalAddr: d.LocalAddr}).DialContext
	}
	d.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := inner(ctx, network, addr)
		if err == nil {
			done.Local, done.Remote = nc.LocalAddr(), nc.RemoteAddr()
		}
		return nc, err
	}
	c, err := d.Dial(ctx, addr)
	if done.Err = err; err == nil {
		done.TLS = c.TLS()
	}
	h.Dialed(done)
	return c, err
}

// tlsOutcome makes of a connection under a rule what a TLS report tells about it. False: nothing, since it failed before TLS could (RFC 8460 s4.3.4).
func tlsOutcome(rule mxresolve.TLSRequirement, d Dialed) (o tlsrpt.Outcome, ok bool) {
	failed, stage := d.Err, ""
	if e, is := errors.AsType[*smtp.Error](d.Err); is {
		stage = e.Command
	}
	switch {
	case d.Err != nil && !errors.Is(d.Err, smtp.ErrTLSRequired) && !errors.Is(d.Err, smtp.ErrInjection):
		return o, false
	case d.Err != nil && stage == "STARTTLS" && !errors.Is(d.Err, smtp.ErrInjection), // not offered, or refused
		d.Err == nil && (d.TLS.Reason == "not offered" || d.TLS.Reason == "refused"):
		o, ok = rule.Outcome(nil)
		o.Result = tlsrpt.STARTTLSNotSupported
	default:
		if d.Err == nil && d.TLS.State != nil {
			failed = rule.Check(*d.TLS.State) // a policy in the mode testing lets pass what it is told of
		} else if d.Err == nil {
			failed = d.TLS.Err
		}
		o, ok = rule.Outcome(failed)
	}
	o.SendingIP, o.ReceivingIP = ip(d.Local), ip(d.Remote)
	return o, ok
}

func ip(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, _ := netip.ParseAddrPort(a.String()) // a proxy or a Unix socket may have an address of another kind
	return ap.Addr()
}
