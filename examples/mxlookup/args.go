package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
)

const usage = `Usage: mxlookup [flags] DOMAIN...

Shows where mail for a DOMAIN goes: its MX records, which of them are used and in
which order, which are not and why, and what TLS is required by DANE and MTA-STS.
DOMAIN is what stands after the @ of an address, or the whole address; an address
literal such as [192.0.2.1] is one too. Flags may stand before and after it.

Flags:
`

const usageTail = `
Exit codes:
  0    mail can be delivered
  1    to one domain at least it cannot, and never will: bounce
  2    wrong usage
  74   standard output cannot be written to
  75   it cannot be found out now: try again later
  130  interrupted

Examples:
  mxlookup example.org                           what would happen to mail now
  mxlookup -v -resolver 127.0.0.1:5353 a.example ask that name server, and show each question
  mxlookup -resolver tls://192.0.2.53#dns.example -json a.example b.example
                                                 one JSON object a domain, in that order
  mxlookup -self mx2.a.example,192.0.2.2 a.example
                                                 as the backup host mx2.a.example decides
`

// A config is what the arguments ask for.
type config struct {
	resolver *mxresolve.Resolver
	domains  []string
	json     bool
	timeout  time.Duration
}

// parseArgs reads the arguments. Help goes to stdout, and is then the error flag.ErrHelp; what -v shows will go to stderr.
func parseArgs(args []string, stdout, stderr io.Writer) (*config, error) {
	fs := flag.NewFlagSet("mxlookup", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c := &config{resolver: &mxresolve.Resolver{}}
	r := c.resolver
	fs.BoolVar(&c.json, "json", false, "print JSON")
	upstreams := fs.String("resolver", "", "name servers to ask, separated by commas: `ADDR` is 192.0.2.53, 127.0.0.1:5353,\n"+
		"tcp://ADDR or tls://ADDR#NAME (default: those of /etc/resolv.conf)")
	fs.StringVar(&r.Network, "network", "ip", "which addresses: `KIND` is ip, ip4 or ip6")
	self := fs.String("self", "", "`NAMES` and addresses of the sending host itself, separated by commas")
	fs.BoolVar(&r.AllowLoopback, "loopback", false, "allow loopback addresses")
	fs.BoolVar(&r.AllowIPTargets, "ip-targets", false, "accept MX records that name an IP address")
	fs.DurationVar(&c.timeout, "timeout", 30*time.Second, "for each domain: `TIME` is 5s, 1m30s, ...")
	dane := fs.Bool("require-dane", false, "use only hosts that DANE authenticates")
	sts := fs.Bool("sts", true, "look up the MTA-STS policy, which means an HTTPS connection to the domain's policy host")
	stsDir := fs.String("sts-dir", "", "`DIR`ectory that keeps MTA-STS policies (default: they are forgotten)")
	verbose := fs.Bool("v", false, "show each question on standard error")
	rest, err := parseMixed(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		fs.PrintDefaults()
		fmt.Fprint(stdout, usageTail)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(rest) == 0:
		return nil, errors.New("say which domain, such as example.org")
	case r.Network != "ip" && r.Network != "ip4" && r.Network != "ip6":
		return nil, fmt.Errorf("-network is ip, ip4 or ip6, not %q", r.Network)
	case c.timeout <= 0:
		return nil, fmt.Errorf("-timeout must be more than nothing, such as 30s, not %s", c.timeout)
	case *stsDir != "" && !*sts:
		return nil, errors.New("-sts-dir is of no use with -sts=false: leave one of them out")
	}
	for _, d := range rest {
		c.domains = append(c.domains, d[strings.LastIndexByte(d, '@')+1:]) // a whole address will do
	}
	for _, a := range list(*upstreams) {
		u, err := mxresolve.ParseUpstream(a)
		if err != nil {
			return nil, fmt.Errorf("-resolver: %w", err)
		}
		r.Upstreams = append(r.Upstreams, u)
	}
	for _, s := range list(*self) {
		if ip, err := netip.ParseAddr(s); err == nil {
			r.Addrs = append(r.Addrs, ip)
		} else {
			r.Names = append(r.Names, s)
		}
	}
	if *dane {
		r.RequireDANE = func(string) bool { return true }
	}
	if *sts {
		r.STS = &mxresolve.STS{}
	}
	if *stsDir != "" {
		if r.STS.Store, err = mxresolve.STSDir(*stsDir); err != nil {
			return nil, fmt.Errorf("-sts-dir: %w", err)
		}
	}
	if *verbose {
		r.Trace = trace(stderr)
	}
	return c, nil
}

// parseMixed reads flags before, between and behind other arguments, up to "--", and returns those others.
func parseMixed(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		n := len(args) - fs.NArg()
		if n > 0 && args[n-1] == "--" {
			return append(rest, fs.Args()...), nil
		}
		if args = fs.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// list splits at commas and drops what is empty.
func list(s string) (out []string) {
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}
