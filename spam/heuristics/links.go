package heuristics

import (
	"fmt"
	"strings"

	"github.com/gomailroom/mailroom/spam/internal/page"
)

// manyLinks to different organisations are a list of offers.
const manyLinks = 15

func links(s *subject) {
	once := map[string]bool{}
	add := func(symbol, detail string) {
		if !once[symbol] {
			once[symbol] = true
			s.add(symbol, detail)
		}
	}
	organizations := map[string]bool{}
	for _, l := range s.links {
		user, host := page.Host(l.URL)
		if host == "" {
			if scheme := strings.ToLower(limit(l.URL, 11)); strings.HasPrefix(scheme, "javascript:") || strings.HasPrefix(scheme, "data:") {
				add("URL_ACTIVE", limit(l.URL, 40))
			}
			continue
		}
		organization := page.Organization(host)
		organizations[organization] = true
		if page.IP(host) {
			add("URL_IP", host)
		}
		if user != "" {
			add("URL_USERINFO", user+"@"+host)
		}
		if shorteners[organization] {
			add("URL_SHORTENER", host)
		}
		if strings.Contains(host, "xn--") && mixed(host) {
			add("URL_MIXED_SCRIPT", host)
		}
	}
	if len(organizations) > manyLinks {
		s.add("URL_MANY", fmt.Sprint(len(organizations)))
	}
}

// linkText: a link that shows one host and leads to another. Senders who count clicks do it too, under their own authenticated name: the rules know.
func linkText(s *subject) {
	for _, l := range s.body.HTML.Links {
		_, host := page.Host(l.URL)
		shown := page.Domain(l.Text)
		if host != "" && shown != "" && page.Organization(shown) != page.Organization(host) {
			s.add("URL_TEXT_DIFFERS", shown+" leads to "+host)
			return
		}
	}
}

// shorteners hide where a link leads to.
var shorteners = map[string]bool{
	"bit.ly": true, "tinyurl.com": true, "goo.gl": true, "t.ly": true, "is.gd": true, "v.gd": true, "ow.ly": true, "cutt.ly": true, "rb.gy": true, "rebrand.ly": true,
	"shorturl.at": true, "tiny.cc": true, "buff.ly": true, "s.id": true, "bl.ink": true, "shorte.st": true, "adf.ly": true, "qrco.de": true, "t2m.io": true, "lnkd.in": true,
}
