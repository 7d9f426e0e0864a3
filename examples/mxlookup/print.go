package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// A node is a line of the tree, with what hangs from it.
type node struct {
	text string
	sub  []node
}

func (n *node) add(format string, a ...any) *node {
	n.sub = append(n.sub, node{text: fmt.Sprintf(format, a...)})
	return &n.sub[len(n.sub)-1]
}

func (n *node) print(w io.Writer, indent string) {
	for i := range n.sub {
		branch, below := "├─ ", "│  "
		if i == len(n.sub)-1 {
			branch, below = "└─ ", "   "
		}
		fmt.Fprintln(w, indent+branch+n.sub[i].text)
		n.sub[i].print(w, indent+below)
	}
}

// printTree shows a decision to people.
func printTree(w io.Writer, d decision) {
	root := node{}
	domain, p, e := d.domain, d.plan, d.err
	if e != nil {
		verdict := "bounce"
		if e.Temporary {
			verdict = "try again later"
		}
		fmt.Fprintf(w, "%s: %s, %d %s\n", domain, verdict, e.Code, e.Enhanced)
		why := root.add("%s", e.Kind)
		if e.Detail != "" {
			why.add("%s", e.Detail)
		}
		if e.Extended != "" {
			why.add("the name server says: %s", e.Extended)
		}
		root.add("what to do: %s", advice(e))
		addSkipped(&root, e.Skipped)
		addReports(&root, e.Failures, d.reports)
		root.print(w, "")
		return
	}
	fmt.Fprintf(w, "%s: mail can be delivered\n", domain)
	switch {
	case p.Literal:
		root.add("address literal: no DNS")
	case p.Implicit:
		root.add("no MX records: the domain is its own mail host")
	}
	if p.ASCII != "" && p.ASCII != strings.ToLower(strings.TrimSuffix(domain, ".")) {
		root.add("asked as %s", p.ASCII)
	}
	if p.Canonical != p.ASCII && !p.Literal {
		root.add("alias of %s", p.Canonical)
	}
	if !p.Literal {
		n := root.add("DNSSEC: %s", secure(p))
		for _, u := range d.upstreams {
			_, text := u.DNSSEC()
			n.add("name server %s %s", u.Addr, text)
		}
		root.add("valid for %s", time.Until(p.Expires).Round(time.Second))
	}
	if s := p.Policy; s != nil {
		n := root.add("MTA-STS: %s, id %s, until %s", s.Mode, s.ID, s.Expires.UTC().Format(time.RFC3339))
		for _, mx := range s.MX {
			n.add("mx %s", mx)
		}
	}
	hosts := root.add("to try, in this order")
	for _, h := range p.Hosts {
		n := hosts.add("%d %s", h.Preference, h.Name)
		if h.Canonical != h.Name {
			n.add("alias of %s, which an MX target should not be", h.Canonical)
		}
		for _, a := range h.Addrs {
			n.add("%s", netip.AddrPortFrom(a, 25))
		}
		if h.Partial != nil {
			n.add("one family is missing: %v", h.Partial)
		}
		tls := n.add("TLS: %s", h.TLS)
		for _, r := range h.TLS.TLSA() {
			tls.add("TLSA %s", r)
		}
	}
	addSkipped(&root, p.Skipped)
	addReports(&root, p.Failures, d.reports)
	root.print(w, "")
}

func secure(p *mxresolve.Plan) string {
	if p.Secure {
		return "secure"
	}
	return "not secured: " + p.Insecure.String()
}

// addReports tells what TLS reports would say, and to whom.
func addReports(root *node, failures []tlsrpt.Outcome, uris []string) {
	for _, f := range failures {
		n := root.add("TLS failure: %s", f.Result)
		if f.MX != "" {
			n.add("%s", f.MX)
		}
		n.add("%s", f.Reason)
	}
	for _, u := range uris {
		root.add("TLS reports go to %s", u)
	}
}

func addSkipped(root *node, list []mxresolve.SkippedHost) {
	if len(list) == 0 {
		return
	}
	skipped := root.add("not used")
	for _, h := range list {
		name := h.Name
		if name == "" {
			name = "."
		}
		n := skipped.add("%d %s: %s", h.Preference, name, h.Reason)
		for _, a := range h.Addrs {
			n.add("%s", a)
		}
		if h.Err != nil {
			n.add("%v", h.Err)
		}
	}
}
