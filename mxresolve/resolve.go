package mxresolve

import (
	"context"
	"net"
	"net/netip"
)

type engine struct{}

// Resolve says where mail for domain goes.
func (r *Resolver) Resolve(ctx context.Context, domain string) (*Plan, error) {
	return nil, newError(domain, KindLookupFailed)
}

// LookupTXT returns the TXT records of name.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return nil, newError(name, KindLookupFailed)
}

// LookupMX returns the MX records of name.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return nil, newError(name, KindLookupFailed)
}

// LookupNetIP returns the addresses of host.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return nil, newError(host, KindLookupFailed)
}

// LookupAddr returns the names of an address.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return nil, newError(addr, KindLookupFailed)
}

// ForwardConfirmed returns the names of addr that have addr among their addresses.
func (r *Resolver) ForwardConfirmed(ctx context.Context, addr netip.Addr) ([]string, error) {
	return nil, newError(addr.String(), KindLookupFailed)
}

// Purge forgets what is cached about names, or everything when none is given.
func (r *Resolver) Purge(names ...string) {}

// Close gives up all sockets.
func (r *Resolver) Close() error { return nil }
