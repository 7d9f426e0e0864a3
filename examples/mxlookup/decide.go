package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
)

// parallel is how many domains are looked up at the same time.
const parallel = 16

// A decision is all that is shown: a plan or an error, and what surrounds it.
type decision struct {
	domain    string
	plan      *mxresolve.Plan
	err       *mxresolve.Error
	reports   []string                   // where the domain wants reports about TLS
	upstreams []mxresolve.UpstreamStatus // when the plan is not secure: whether it could have been
}

// start looks all domains up, and gives a channel for each decision, in their order.
func (c *config) start(ctx context.Context) []chan decision {
	out := make([]chan decision, len(c.domains))
	slots := make(chan struct{}, parallel)
	diagnose := sync.OnceValue(func() []mxresolve.UpstreamStatus {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		list, _ := c.resolver.Diagnose(ctx, "")
		return list
	})
	for i, domain := range c.domains {
		out[i] = make(chan decision, 1)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			d := decide(ctx, c.resolver, domain)
			if d.plan != nil && !d.plan.Secure && !d.plan.Literal {
				d.upstreams = diagnose()
			}
			out[i] <- d
		}()
	}
	return out
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
	return d
}

// advice says what to do about an error.
func advice(e *mxresolve.Error) string {
	switch e.Kind {
	case mxresolve.KindInvalidDomain, mxresolve.KindNoSuchDomain:
		return "check the spelling"
	case mxresolve.KindNullMX:
		return "do not send mail there: ask the recipient for another address"
	case mxresolve.KindNoAddress:
		return "the domain's administrator has to give it a mail host with an address"
	case mxresolve.KindLoop:
		return "let this host accept mail for the domain, or take it out of the domain's MX records"
	case mxresolve.KindPrimaryMissing:
		return "try again later; the better hosts need addresses"
	case mxresolve.KindCanceled:
		return "try again with more time: -timeout"
	case mxresolve.KindPolicy:
		return "try again later; the domain's administrator has to make its MX records and its MTA-STS policy agree"
	case mxresolve.KindNoDANE:
		return "try again later; the domain's administrator has to publish TLSA records in signed zones, or leave out -require-dane"
	}
	return "try again later; if it lasts, see with -v what is asked, or ask another name server with -resolver"
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
