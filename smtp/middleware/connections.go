package middleware

import (
	"context"
	"net/netip"
	"sync"

	"github.com/gomailroom/mailroom/smtp"
)

// ConnectionLimits say how many connections there may be at a time. Zero fields take their defaults, negative limits mean any number.
type ConnectionLimits struct {
	PerAddress int // default 20
	PerNetwork int // default 50

	// The size of a network: default 24 bits for IPv4, 64 for IPv6.
	IPv4Bits, IPv6Bits int
}

var errConnections = &smtp.Error{Code: 421, Enhanced: smtp.EnhancedCode{4, 7, 0}, Text: "too many connections from your network; try again later"}

// LimitConnections turns away connections that are too many with 421 4.7.0. They count until their session ends. It is for what a network of strangers may have;
// smtp.Limits.PerAddress is the net below it, that catches connections before a handshake, whatever the handler.
func LimitConnections(l ConnectionLimits) func(smtp.Handler) smtp.Handler {
	c := connections{
		perAddress: orDefault(l.PerAddress, 20), perNetwork: orDefault(l.PerNetwork, 50),
		bits4: orDefault(l.IPv4Bits, 24), bits6: orDefault(l.IPv6Bits, 64),
		open: make(map[netip.Prefix]int),
	}
	return onConnect(c.check)
}

type connections struct {
	perAddress, perNetwork, bits4, bits6 int

	mu   sync.Mutex
	open map[netip.Prefix]int // by address and by network
}

func (c *connections) check(ctx context.Context, p *smtp.Peer) error {
	address, net := network(p, 32, 128), network(p, c.bits4, c.bits6)
	if !address.IsValid() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.perAddress >= 0 && c.open[address] >= c.perAddress || address != net && c.perNetwork >= 0 && c.open[net] >= c.perNetwork {
		return errConnections
	}
	c.count(address, net, 1)
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.count(address, net, -1)
	})
	return nil
}

// count is called with mu held.
func (c *connections) count(address, net netip.Prefix, d int) {
	for _, k := range [...]netip.Prefix{address, net} {
		if c.open[k] += d; c.open[k] == 0 {
			delete(c.open, k)
		}
		if address == net {
			return
		}
	}
}
