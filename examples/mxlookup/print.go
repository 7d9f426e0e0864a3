package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
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
func printTree(w io.Writer, domain string, p *mxresolve.Plan, e *mxresolve.Error) {
	root := node{}
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
		addSkipped(&root, e.Skipped)
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
		root.add("DNSSEC: %s", secure(p.Secure))
		root.add("valid for %s", time.Until(p.Expires).Round(time.Second))
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
		n.add("TLS: %s", h.TLS)
	}
	addSkipped(&root, p.Skipped)
	root.print(w, "")
}

func secure(ok bool) string {
	if ok {
		return "secure"
	}
	return "not secured"
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

type jsonHost struct {
	Name       string       `json:"name"`
	Preference uint16       `json:"preference"`
	Canonical  string       `json:"canonical,omitempty"`
	Addrs      []netip.Addr `json:"addresses,omitempty"`
	Secure     bool         `json:"secure,omitempty"`
	TLS        string       `json:"tls,omitempty"`
	Mandatory  bool         `json:"tls_mandatory,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	Error      string       `json:"error,omitempty"`
}

type jsonError struct {
	Kind      string `json:"kind"`
	Code      int    `json:"code"`
	Enhanced  string `json:"enhanced"`
	Temporary bool   `json:"temporary"`
	Detail    string `json:"detail,omitempty"`
	Extended  string `json:"extended,omitempty"`
}

type jsonPlan struct {
	Domain    string     `json:"domain"`
	ASCII     string     `json:"ascii,omitempty"`
	Canonical string     `json:"canonical,omitempty"`
	Literal   bool       `json:"literal,omitempty"`
	Implicit  bool       `json:"implicit,omitempty"`
	Secure    bool       `json:"secure"`
	Expires   *time.Time `json:"expires,omitempty"`
	Hosts     []jsonHost `json:"hosts"`
	Skipped   []jsonHost `json:"skipped,omitempty"`
	Error     *jsonError `json:"error,omitempty"`
}

// printJSON shows a decision to programs.
func printJSON(w io.Writer, domain string, p *mxresolve.Plan, e *mxresolve.Error) error {
	out := jsonPlan{Domain: domain, Hosts: []jsonHost{}}
	var skipped []mxresolve.SkippedHost
	if e != nil {
		out.Error = &jsonError{e.Kind.String(), e.Code, e.Enhanced, e.Temporary, e.Detail, e.Extended}
		skipped = e.Skipped
	} else {
		out.ASCII, out.Canonical, out.Literal, out.Implicit, out.Secure = p.ASCII, p.Canonical, p.Literal, p.Implicit, p.Secure
		if !p.Expires.IsZero() {
			out.Expires = &p.Expires
		}
		skipped = p.Skipped
		for _, h := range p.Hosts {
			_, mandatory := h.TLS.Config(nil)
			out.Hosts = append(out.Hosts, jsonHost{Name: h.Name, Preference: h.Preference, Canonical: h.Canonical,
				Addrs: h.Addrs, Secure: h.Secure, TLS: h.TLS.String(), Mandatory: mandatory, Error: errorText(h.Partial)})
		}
	}
	for _, h := range skipped {
		out.Skipped = append(out.Skipped, jsonHost{Name: h.Name, Preference: h.Preference, Addrs: h.Addrs,
			Reason: h.Reason.String(), Error: errorText(h.Err)})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
