// Command mxlookup shows where mail for a domain goes, and why.
//
//	mxlookup [flags] DOMAIN
//
// DOMAIN is what stands after the @ of an address: a domain name, also an internationalized one, or an address literal
// such as [192.0.2.1].
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
)

// Exit codes; 75 is EX_TEMPFAIL of sysexits.h.
const (
	exitOK        = 0
	exitPermanent = 1
	exitUsage     = 2
	exitTemporary = 75
)

const usage = `Usage: mxlookup [flags] DOMAIN

Shows where mail for DOMAIN goes: its MX records, which of them are used and in
which order, which are not and why, and what TLS is required by DANE and MTA-STS.
DOMAIN is what stands after the @ of an address; an address literal such as
[192.0.2.1] is one too.

Flags:
`

const usageTail = `
Exit codes:
  0   mail can be delivered
  1   it cannot, and never will: bounce
  2   wrong usage
  75  it cannot be found out now: try again later

Examples:
  mxlookup example.org
  mxlookup -resolver 127.0.0.1:5353 -v example.org
  mxlookup -resolver tls://192.0.2.53:853#dns.example -json example.org
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("mxlookup", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print JSON")
	resolvers := fs.String("resolver", "", "name servers to ask, separated by commas: `ADDR` is 192.0.2.53, 127.0.0.1:5353,\n"+
		"tcp://ADDR or tls://ADDR#NAME (default: those of /etc/resolv.conf)")
	network := fs.String("network", "ip", "which addresses: ip, ip4 or ip6")
	self := fs.String("self", "", "`NAMES` and addresses of the sending host itself, separated by commas")
	loopback := fs.Bool("loopback", false, "allow loopback addresses")
	ipTargets := fs.Bool("ip-targets", false, "accept MX records that name an IP address")
	timeout := fs.Duration("timeout", 30*time.Second, "for everything")
	sts := fs.Bool("sts", true, "look up the MTA-STS policy, which means an HTTPS connection to the domain's policy host")
	stsDir := fs.String("sts-dir", "", "`DIR`ectory that keeps MTA-STS policies (default: they are forgotten)")
	verbose := fs.Bool("v", false, "show each question on standard error")
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), usage)
		fs.PrintDefaults()
		fmt.Fprint(fs.Output(), usageTail)
	}
	for _, a := range args {
		if a == "-h" || a == "--help" || a == "-help" {
			fs.SetOutput(stdout)
		}
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitOK
	} else if err != nil {
		return exitUsage
	}
	complain := func(format string, a ...any) int {
		fmt.Fprintf(stderr, "mxlookup: "+format+" (mxlookup -h for help)\n", a...)
		return exitUsage
	}
	if fs.NArg() != 1 {
		return complain("want one domain, got %d", fs.NArg())
	}
	if *network != "ip" && *network != "ip4" && *network != "ip6" {
		return complain("-network is ip, ip4 or ip6, not %q", *network)
	}
	domain := fs.Arg(0)
	if i := strings.LastIndexByte(domain, '@'); i >= 0 {
		domain = domain[i+1:] // a whole address will do
	}

	r := &mxresolve.Resolver{Network: *network, AllowLoopback: *loopback, AllowIPTargets: *ipTargets}
	defer r.Close()
	for _, a := range list(*resolvers) {
		r.Upstreams = append(r.Upstreams, mxresolve.Upstream{Addr: a})
	}
	for _, s := range list(*self) {
		if ip, err := netip.ParseAddr(s); err == nil {
			r.Addrs = append(r.Addrs, ip)
		} else {
			r.Names = append(r.Names, s)
		}
	}
	if *sts {
		r.STS = &mxresolve.STS{}
	}
	if *sts && *stsDir != "" {
		store, err := mxresolve.STSDir(*stsDir)
		if err != nil {
			return complain("-sts-dir: %v", err)
		}
		r.STS.Store = store
	}
	if *verbose {
		r.Trace = trace(stderr)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	d := decide(ctx, r, domain)
	e := d.err
	if *asJSON {
		if err := printJSON(stdout, d); err != nil {
			fmt.Fprintln(stderr, "mxlookup:", err)
			return exitTemporary
		}
	} else {
		printTree(stdout, d)
	}
	switch {
	case e == nil:
		return exitOK
	case e.Temporary:
		return exitTemporary
	}
	return exitPermanent
}

// A decision is all that is shown: a plan or an error, and what surrounds it.
type decision struct {
	domain    string
	plan      *mxresolve.Plan
	err       *mxresolve.Error
	reports   []string                   // where the domain wants reports about TLS
	upstreams []mxresolve.UpstreamStatus // when the plan is not secure: whether it could have been
}

func decide(ctx context.Context, r *mxresolve.Resolver, domain string) (d decision) {
	d.domain = domain
	plan, err := r.Resolve(ctx, domain)
	d.plan = plan
	if errors.As(err, &d.err) && d.err.Kind == mxresolve.KindInvalidDomain {
		return d
	}
	if record, err := r.LookupTLSReporting(ctx, domain); err == nil && record != nil {
		d.reports = record.URIs
	}
	if plan != nil && !plan.Secure && !plan.Literal {
		d.upstreams, _ = r.Diagnose(ctx, "")
	}
	return d
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

// trace shows questions as they are sent and answered, many at once.
func trace(w io.Writer) *mxresolve.Trace {
	var mu sync.Mutex
	show := func(format string, a ...any) {
		line := fmt.Sprintf(format, a...)
		mu.Lock()
		defer mu.Unlock()
		io.WriteString(w, line)
	}
	return &mxresolve.Trace{
		Sent: func(i mxresolve.SentInfo) {
			show("> %s %s to %s (%s, packet %d)\n", i.Name, i.Type, i.Upstream, i.Network, i.Try)
		},
		Fetched: func(i mxresolve.FetchedInfo) {
			var result string
			if i.Err != nil {
				result = i.Err.Error()
			} else {
				result = "mode " + i.Policy.Mode
			}
			show("< MTA-STS policy of %s: %s after %s\n", i.Domain, result, i.Took.Round(10*time.Microsecond))
		},
		Answered: func(i mxresolve.AnsweredInfo) {
			result := i.Rcode
			if i.Err != nil {
				result = i.Err.Error()
			}
			show("< %s %s: %s after %s\n", i.Name, i.Type, result, i.Took.Round(10*time.Microsecond))
		},
	}
}
