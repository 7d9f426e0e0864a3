package spam

// defaultRules holds the weights of all checks of this module in one place.
func defaultRules() *Rules {
	return &Rules{
		Weights: map[string]Weight{
			"CHECK_FAILED": {0, "a check could not be made", ""},

			"SPF_PASS":      {-0.2, "the sending host may use this domain", "auth"},
			"SPF_FAIL":      {3, "the sending host may not use this domain", "auth"},
			"SPF_SOFTFAIL":  {1, "the sending host probably may not use this domain", "auth"},
			"SPF_NEUTRAL":   {0.2, "the domain does not say who may use it", "auth"},
			"SPF_NONE":      {0.3, "the domain has no SPF policy", "auth"},
			"SPF_TEMPERROR": {0, "the SPF policy could not be looked up", "auth"},
			"SPF_PERMERROR": {0.5, "the SPF policy is broken", "auth"},

			"DKIM_PASS":      {-0.2, "a signature holds", "auth"},
			"DKIM_FAIL":      {1, "no signature holds", "auth"},
			"DKIM_POLICY":    {0.5, "the signatures are too weak or leave too much out", "auth"},
			"DKIM_NEUTRAL":   {0.2, "the signatures cannot be read", "auth"},
			"DKIM_NONE":      {0.2, "there is no signature", "auth"},
			"DKIM_TEMPERROR": {0, "the key of a signature could not be looked up", "auth"},
			"DKIM_PERMERROR": {0.5, "the signatures are broken or have no key", "auth"},

			"DMARC_PASS":       {-0.5, "the domain of From is authenticated", "auth"},
			"DMARC_NONE":       {0.2, "the domain of From is not authenticated, and does not mind", "auth"},
			"DMARC_QUARANTINE": {6, "the domain of From is not authenticated, and asks for quarantine", ""},
			"DMARC_REJECT":     {8, "the domain of From is not authenticated, and asks for rejection", ""},
			"DMARC_TEMPERROR":  {0, "the DMARC policy could not be looked up", "auth"},
			"DMARC_NA":         {0, "the domain of From has no DMARC policy", "auth"},
			"FROM_MISSING":     {3, "there is no From", "header"},
			"FROM_MULTIPLE":    {3, "From has several domains", "header"},
		},
		Groups:  map[string]float64{"auth": 5, "header": 5},
		Actions: []Threshold{{6, Junk}, {15, Reject}},
		Force:   map[string]Action{"DMARC_REJECT": Reject, "DMARC_QUARANTINE": Junk},
		Texts: map[Action]string{
			Defer:  "try again later",
			Reject: "message refused: it looks like spam, or is not from whom it says",
		},
	}
}
