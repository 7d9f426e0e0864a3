package spam

// defaultRules holds the weights of all checks of this module in one place. Ordinary mail stays below 3; spam that none of the outright signs gives away has
// to collect 6 from several sides, since no group but the classifier reaches that alone.
func defaultRules() *Rules {
	return &Rules{
		Weights: weights(),
		Groups:  map[string]float64{"auth": 5, "host": 4, "header": 5, "body": 4, "links": 5, "dnsbl": 6},
		Composites: []Composite{
			// Somebody pretends to be another, nothing proves who it is, and a link leads astray.
			{Name: "IMPERSONATION", Any: []string{"FROM_NAME_ADDRESS", "FROM_NAME_DOMAIN"}, None: []string{"DMARC_PASS"}},
			{Name: "PHISHING", All: []string{"IMPERSONATION"},
				Any: []string{"URL_IP", "URL_USERINFO", "URL_MIXED_SCRIPT", "URL_TEXT_DIFFERS", "URL_ACTIVE", "ATTACHMENT_HTML"}},
			// Senders who count clicks, and who say who they are.
			{Name: "URL_TEXT_DIFFERS_KNOWN", All: []string{"URL_TEXT_DIFFERS", "DMARC_PASS"}, Replace: []string{"URL_TEXT_DIFFERS"}},
		},
		Actions: []Threshold{{6, Junk}, {15, Reject}},
		Force:   map[string]Action{"DMARC_REJECT": Reject, "DMARC_QUARANTINE": Junk, "GTUBE": Reject},
		Texts: map[Action]string{
			Defer:  "try again later",
			Reject: "message refused: it looks like spam, or is not from whom it says",
		},
	}
}
