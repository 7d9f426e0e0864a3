package mxresolve_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// What may be behind an MX record, for the model.
var behind = []struct {
	name    string
	records string   // of the host
	fails   []string // types
	usable  bool     // gives a host
	temp    bool     // no host, for now
	self    bool
	void    bool // no host name at all
}{
	{name: "both", records: "A 192.0.2.1;AAAA 2001:db8::1", usable: true},
	{name: "v4", records: "A 192.0.2.1", usable: true},
	{name: "v6", records: "AAAA 2001:db8::1", usable: true},
	{name: "alias", records: "CNAME real.example", usable: true},
	{name: "gone"},
	{name: "bare", records: "TXT x"},
	{name: "loop", records: "A 127.0.0.1"},
	{name: "down", records: "A 192.0.2.1", fails: []string{"A", "AAAA"}, temp: true},
	{name: "half4", records: "A 192.0.2.1", fails: []string{"AAAA"}, usable: true},
	{name: "half6", records: "AAAA 2001:db8::1", fails: []string{"A"}, usable: true},
	{name: "maybe", records: "TXT x", fails: []string{"AAAA"}, temp: true},
	{name: "me", records: "A 192.0.2.1", self: true},
	{name: "mine", records: "A 192.0.2.25", self: true},
	{name: "text", void: true},
	{name: "onelabel", void: true},
	{name: "null", void: true},
}

// TestModel compares decisions about random domains with a model that says the table in other words.
func TestModel(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 250 {
		zone := "real.example. A 192.0.2.9\n"
		type mx struct{ kind, pref int }
		var list []mx
		for range 1 + rnd.IntN(4) {
			m := mx{rnd.IntN(len(behind)), 10 * (1 + rnd.IntN(3))}
			if slices.ContainsFunc(list, func(o mx) bool { return o.kind == m.kind }) {
				continue
			}
			list = append(list, m)
			b := behind[m.kind]
			target := b.name + ".example."
			switch b.name {
			case "text":
				target = "192.0.2.66."
			case "onelabel":
				target = "onelabel."
			case "null":
				target = "."
			}
			zone += fmt.Sprintf("example.org. MX %d %s\n", m.pref, target)
			for r := range strings.SplitSeq(b.records, ";") {
				if r != "" {
					zone += target + " " + strings.TrimSuffix(r, ".") + map[bool]string{true: "."}[strings.HasPrefix(r, "CNAME")] + "\n"
				}
			}
		}
		s, r := newLab(t, zone)
		r.Names, r.Addrs = []string{"me.example"}, addrs("192.0.2.25")
		for _, b := range behind {
			for _, typ := range b.fails {
				s.SetFault(b.name+".example", typ, dnstest.Fault{Rcode: dnstest.ServFail})
			}
		}

		limit, best, temp, nulls := 1<<16, 1<<16, false, 0
		for _, m := range list {
			b := behind[m.kind]
			if b.name == "null" {
				nulls++
			}
			if b.self {
				limit = min(limit, m.pref)
			}
			if !b.void {
				best = min(best, m.pref)
			}
		}
		want := map[string]bool{}
		for _, m := range list {
			if b := behind[m.kind]; m.pref < limit {
				if b.usable {
					want[b.name+".example"] = true
				}
				temp = temp || b.temp
			}
		}
		p, err := ask(r, "example.org")
		switch {
		case len(want) > 0:
			require.Nil(t, err, zone)
			got := map[string]bool{}
			for i, h := range p.Hosts {
				got[h.Name] = true
				require.NotEmpty(t, h.Addrs)
				require.True(t, i == 0 || p.Hosts[i-1].Preference <= h.Preference)
			}
			require.Equal(t, want, got, zone)
			require.Len(t, p.Skipped, len(list)-len(p.Hosts), "every record is accounted for")
		case nulls == len(list):
			mustBounce(t, err, mxresolve.KindNullMX, "5.1.10")
		case limit < 1<<16 && limit == best:
			mustBounce(t, err, mxresolve.KindLoop, "5.4.6")
		case limit < 1<<16:
			mustDefer(t, err, mxresolve.KindPrimaryMissing, "4.4.4")
		case temp:
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		default:
			mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
		}
		r.Close()
		s.Close()
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost)
	var buf bytes.Buffer
	r.Logger = slog.New(slog.NewTextHandler(&buf, nil))
	s.SetFault("broken.example", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 22, ExtendedText: "ns1 is silent"})
	ask(r, "example.org")
	require.Empty(t, buf.String(), "nothing to say about what is well")
	ask(r, "broken.example")
	require.Contains(t, buf.String(), `level=WARN msg="dns lookup failed" name=broken.example type=MX`)
	require.Contains(t, buf.String(), "ns1 is silent")
	require.Contains(t, buf.String(), `msg="no route for mail" domain=broken.example code=4.4.3`)
}
