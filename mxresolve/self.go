package mxresolve

import (
	"net/netip"
	"slices"
)

// self is what a Resolver knows of its own host, and of addresses it must not hand out.
type self struct {
	names         map[string]bool
	addrs         map[netip.Addr]bool
	allowLoopback bool
	refuse        []netip.Prefix
}

func newSelf(r *Resolver) self {
	s := self{names: map[string]bool{}, addrs: map[netip.Addr]bool{}, allowLoopback: r.AllowLoopback, refuse: r.Refuse}
	for _, n := range r.Names {
		if ascii, _, err := parseDomain(n); err == nil && ascii != "" {
			s.names[ascii] = true
		}
	}
	for _, a := range r.Addrs {
		s.addrs[a.Unmap().WithZone("")] = true
	}
	return s
}

// owns says whether one of the addresses is this host's.
func (s *self) owns(addrs []netip.Addr) bool {
	if len(s.addrs) == 0 {
		return false
	}
	for _, a := range addrs {
		if s.addrs[a] {
			return true
		}
	}
	return false
}

var thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122 s3.2.1.3; connecting there reaches this host

// forbids says whether mail must not be sent to an address.
func (s *self) forbids(a netip.Addr) bool {
	switch {
	case a.IsLoopback():
		return !s.allowLoopback
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), a.IsInterfaceLocalMulticast(),
		thisNetwork.Contains(a), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return true
	}
	for _, p := range s.refuse {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// allowed returns the first few different addresses that may be connected to.
func (s *self) allowed(addrs []netip.Addr, max int) []netip.Addr {
	out := make([]netip.Addr, 0, min(len(addrs), max))
	for _, a := range addrs {
		if len(out) == max {
			break
		}
		if !s.forbids(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
