package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/gomailroom/mailroom/smtp"
)

// A Router says where mail for a domain goes. An *smtp.Error decides by its code whether the message is returned or tried again later; any other error is temporary.
// attempt counts the attempts before this one.
type Router interface {
	Route(ctx context.Context, domain string, attempt int) ([]Host, error)
}

// A Host is a server to hand messages to. Hosts are tried in order until one talks.
type Host struct {
	Name        string   // for TLS and for reports
	Addrs       []string // "192.0.2.1:25", tried in order; a path for a Unix socket
	TLS         smtp.TLSPolicy
	ImplicitTLS bool
	LMTP        bool
	Auth        *smtp.Credentials
	NetDial     func(ctx context.Context, network, addr string) (net.Conn, error) // default: that of the Dialer
	Dialed      func(Dialed)                                                      // is told of each connection that is made, or fails; it must not block. nil: nobody is

	// Key names the server with all rules for talking to it: domains whose hosts have equal keys share connections, and the limit on them.
	// Default: the domain, Name and the address, since TLS rules are a matter of the domain.
	Key string
}

// MXRouter delivers to the mail exchangers of each domain.
type MXRouter struct {
	Resolver *mxresolve.Resolver // default: the zero Resolver
	Port     int                 // default 25
	MaxAddrs int                 // how many addresses of all hosts together are tried in one attempt; default 5

	// TLSOutcome is given what TLS reports tell about the domains that mail goes to (RFC 8460): one for each connection that came as far as TLS, and one for each
	// thing that was wrong before that, such as a policy that could not be fetched. It must not block: Add of a tlsrpt.Collector is made for it. nil: nothing is told.
	TLSOutcome func(tlsrpt.Outcome)

	once  sync.Once
	asked *mxresolve.Resolver // Resolver, or its default
}

// Route implements [Router]. Retries begin with the other address family, so that a broken one does not hold mail up.
func (r *MXRouter) Route(ctx context.Context, domain string, attempt int) ([]Host, error) {
	r.once.Do(func() {
		if r.asked = r.Resolver; r.asked == nil {
			r.asked = &mxresolve.Resolver{}
		}
	})
	plan, err := r.asked.Resolve(ctx, domain)
	if err != nil {
		if e, ok := errors.AsType[*mxresolve.Error](err); ok {
			r.report(e.Failures)
		}
		return nil, resolveError(domain, err)
	}
	r.report(plan.Failures)
	port, left := strconv.Itoa(cmp.Or(r.Port, 25)), cmp.Or(r.MaxAddrs, 5)
	var hosts []Host
	for _, h := range plan.Hosts {
		host := Host{Name: h.Name, TLS: h.TLS.Config}
		addrs := h.AddrsFor(attempt)
		for _, addr := range addrs[:min(left, len(addrs))] {
			host.Addrs = append(host.Addrs, net.JoinHostPort(addr.String(), port))
		}
		left -= len(host.Addrs)
		if r.TLSOutcome != nil {
			host.Dialed = func(d Dialed) {
				if o, ok := tlsOutcome(h.TLS, d); ok {
					r.TLSOutcome(o)
				}
			}
		}
		if len(host.Addrs) > 0 {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

func (r *MXRouter) report(failures []tlsrpt.Outcome) {
	if r.TLSOutcome == nil {
		return
	}
	for _, o := range failures {
		r.TLSOutcome(o)
	}
}

// resolveError gives a resolver's verdict as the reply that it amounts to.
func resolveError(domain string, err error) error {
	e, ok := errors.AsType[*mxresolve.Error](err)
	if !ok {
		return err
	}
	reply := &smtp.Error{Code: e.Code, Command: "look up " + domain, Err: err}
	if _, scan := fmt.Sscanf(e.Enhanced, "%d.%d.%d", &reply.Enhanced[0], &reply.Enhanced[1], &reply.Enhanced[2]); scan != nil || reply.Code == 0 {
		reply.Code, reply.Enhanced = 451, smtp.EnhancedCode{4, 4, 3} // RFC 3463 X.4.3
	}
	return reply
}

// RelayRouter delivers everything to one server, which does the rest.
type RelayRouter struct {
	Addr        string            // "host:port", or the path of a Unix socket
	TLS         smtp.TLSPolicy    // default: as the Dialer's
	ImplicitTLS bool              // TLS from the first byte, as on port 465
	LMTP        bool              // speak LMTP
	Auth        *smtp.Credentials // nil: none
}

// Route implements [Router].
func (r *RelayRouter) Route(context.Context, string, int) ([]Host, error) {
	name, _, err := net.SplitHostPort(r.Addr)
	if err != nil {
		name = r.Addr
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		name = "[" + ip.String() + "]"
	}
	return []Host{{Name: name, Addrs: []string{r.Addr}, TLS: r.TLS, ImplicitTLS: r.ImplicitTLS, LMTP: r.LMTP, Auth: r.Auth, Key: "relay " + r.Addr}}, nil
}
