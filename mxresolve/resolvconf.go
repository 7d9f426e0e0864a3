package mxresolve

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// systemUpstreams reads /etc/resolv.conf. Search lists are of no interest: names of mail are absolute.
func systemUpstreams() []Upstream {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return []Upstream{{Addr: "127.0.0.1:53"}} // resolv.conf(5)
	}
	defer f.Close()
	return parseResolvConf(io.LimitReader(f, 1<<20))
}

func parseResolvConf(r io.Reader) []Upstream {
	var ups []Upstream
	trust := false
	for sc := bufio.NewScanner(r); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			ip, err := netip.ParseAddr(f[1])
			if err != nil || len(ups) == 8 {
				continue
			}
			if u, err := ParseUpstream(netip.AddrPortFrom(ip, 53).String()); err == nil { // a zone may have any name
				ups = append(ups, u)
			}
		case "options":
			trust = trust || slices.Contains(f[1:], "trust-ad")
		}
	}
	if len(ups) == 0 {
		return []Upstream{{Addr: "127.0.0.1:53"}}
	}
	for i := range ups {
		ups[i].TrustAD = trust
	}
	return ups
}
