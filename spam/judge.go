package spam

import (
	"cmp"
	"math"
	"slices"
)

// Rules say what symbols weigh and what a score leads to. They are data: they can be written in JSON.
type Rules struct {
	Weights    map[string]Weight  `json:"weights"`
	Groups     map[string]float64 `json:"groups,omitempty"`     // the most that the symbols of a group can add together
	Composites []Composite        `json:"composites,omitempty"` // in order; later ones see earlier ones
	Actions    []Threshold        `json:"actions"`              // the last whose score is reached counts
	Force      map[string]Action  `json:"force,omitempty"`      // symbols that decide alone; the strictest counts
	Texts      map[Action]string  `json:"texts,omitempty"`      // what the sender is told
}

// A Weight is what a symbol adds to the score.
type Weight struct {
	Score       float64 `json:"score"`
	Description string  `json:"description"`
	Group       string  `json:"group,omitempty"`
}

// A Threshold is a score from which an action is taken.
type Threshold struct {
	Score  float64 `json:"score"`
	Action Action  `json:"action"`
}

// A Composite is a symbol made of others. It has a weight like any other.
type Composite struct {
	Name    string   `json:"name"`
	All     []string `json:"all,omitempty"`     // every one of these
	Any     []string `json:"any,omitempty"`     // and at least one of these, if there are any
	None    []string `json:"none,omitempty"`    // and none of these
	Replace []string `json:"replace,omitempty"` // symbols that count nothing beside it
}

// Judge weighs symbols. The score that a symbol comes with is a factor to its weight, 1 if it is 0; a symbol that the rules have no weight for keeps it
// as it is.
func (r *Rules) Judge(found []Symbol) *Verdict {
	symbols := append([]Symbol{}, found...) // not nil: JSON has an empty list
	has := map[string]bool{}
	for i := range symbols {
		has[symbols[i].Name] = true
		if s := symbols[i].Score; math.IsNaN(s) || math.IsInf(s, 0) {
			symbols[i].Score = 0 // a check that cannot count must not decide
		}
	}
	replaced := map[string]bool{}
	for _, c := range r.Composites {
		if c.matches(has) {
			has[c.Name] = true
			symbols = append(symbols, Symbol{Name: c.Name})
			for _, name := range c.Replace {
				replaced[name] = true
			}
		}
	}
	v := &Verdict{Symbols: symbols}
	groups := map[string]float64{}
	for i := range symbols {
		s := &symbols[i]
		w, ok := r.Weights[s.Name]
		if ok {
			s.Score, s.Description = w.Score*or(s.Score, 1), w.Description
		}
		if replaced[s.Name] {
			s.Score = 0
		}
		if most, capped := r.Groups[w.Group]; capped && w.Group != "" && s.Score > 0 {
			s.Score = max(0, min(s.Score, most-groups[w.Group]))
			groups[w.Group] += s.Score
		}
		v.Score += s.Score
	}
	for _, t := range r.Actions {
		if v.Score >= t.Score {
			v.Action = t.Action
		}
	}
	for name := range has {
		if a, ok := r.Force[name]; ok && a > v.Action {
			v.Action = a
		}
	}
	v.Text = r.Texts[v.Action]
	slices.SortStableFunc(symbols, func(a, b Symbol) int { return cmp.Compare(math.Abs(b.Score), math.Abs(a.Score)) })
	return v
}

func (c *Composite) matches(has map[string]bool) bool {
	for _, name := range c.All {
		if !has[name] {
			return false
		}
	}
	for _, name := range c.None {
		if has[name] {
			return false
		}
	}
	if len(c.Any) == 0 {
		return len(c.All) > 0
	}
	for _, name := range c.Any {
		if has[name] {
			return true
		}
	}
	return false
}

func or(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}

// DefaultRules gives the rules that come with the checks of this module.
func DefaultRules() *Rules { return defaultRules() }
