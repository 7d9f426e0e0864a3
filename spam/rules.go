package spam

// defaultRules holds the weights of all checks of this module in one place.
func defaultRules() *Rules {
	return &Rules{
		Weights: map[string]Weight{
			"CHECK_FAILED": {0, "a check could not be made", ""},
		},
		Actions: []Threshold{{6, Junk}, {15, Reject}},
		Texts: map[Action]string{
			Defer:  "try again later",
			Reject: "message refused: it looks like spam",
		},
	}
}
