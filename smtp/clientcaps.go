package smtp

import (
	"maps"
	"strconv"
	"strings"
)

// Capabilities is what a server offered in its reply to EHLO or LHLO: keywords in upper case, with what followed them. It is
// empty after HELO.
type Capabilities map[string]string

// Has tells whether the server offered an extension, for example "8BITMIME".
func (c Capabilities) Has(keyword string) bool { _, ok := c[keyword]; return ok }

// Size gives the largest message that the server takes, in octets; 0 means that it did not say (RFC 1870 s4).
func (c Capabilities) Size() int64 {
	n, err := strconv.ParseInt(c["SIZE"], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Mechanisms gives the SASL mechanisms that the server offered, in upper case (RFC 4954 s3).
func (c Capabilities) Mechanisms() []string { return strings.Fields(strings.ToUpper(c["AUTH"])) }

// Limit gives one of the limits of RFC 9422, for example "RCPTMAX"; 0 means that the server named none.
func (c Capabilities) Limit(name string) int {
	for _, l := range strings.Fields(strings.ToUpper(c["LIMITS"])) {
		if v, ok := strings.CutPrefix(l, name+"="); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

func (c Capabilities) clone() Capabilities { return maps.Clone(c) }

// parseCapabilities reads the text of a reply to EHLO. RFC 5321 s4.1.1.1
func parseCapabilities(text string) Capabilities {
	c := Capabilities{}
	lines := strings.Split(text, "\n")
	for _, line := range lines[1:] {
		keyword, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		keyword = strings.ToUpper(keyword)
		// Some old servers say "AUTH=LOGIN", beside AUTH or in place of it.
		if m, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			keyword, params = "AUTH", m+" "+params
		}
		if keyword == "AUTH" && c["AUTH"] != "" {
			params = c["AUTH"] + " " + params
		}
		if keyword != "" {
			c[keyword] = strings.TrimSpace(params)
		}
	}
	return c
}
