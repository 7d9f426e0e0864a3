package spam

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"
)

// A Check looks at one side of a [Mail]. It gives symbols by name; what they weigh is said by the [Rules]. Checks of one stage
// run at the same time and must not change the Mail, but for those that implement its Authentication, which stand in Engine.First.
type Check interface {
	Name() string
	Stage() Stage
	Check(ctx context.Context, m *Mail) ([]Symbol, error)
}

// An Engine is the [Scorer] of this package: checks find symbols, rules weigh them.
type Engine struct {
	First    []Check       // run before the others of their stage, in order: they establish what others build on
	Checks   []Check       // run at the same time
	Rules    *Rules        // default DefaultRules
	Deadline time.Duration // for all checks of a stage together; default 15 seconds
	Logger   *slog.Logger  // nil: silent
}

// Score implements [Scorer]. A check that fails or takes too long gives no symbol but CHECK_FAILED, which names it: mail goes on without.
func (e *Engine) Score(ctx context.Context, m *Mail, s Stage) (*Verdict, error) {
	deadline := e.Deadline
	if deadline <= 0 {
		deadline = 15 * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for stage := m.done + 1; stage <= s; stage++ {
		for _, c := range e.First {
			if c.Stage() == stage {
				m.symbols = append(m.symbols, e.run(bounded, c, m)...)
			}
		}
		m.symbols = append(m.symbols, e.together(bounded, m, stage)...)
		m.done = stage
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("spam: %w", err)
	}
	rules := e.Rules
	if rules == nil {
		rules = DefaultRules()
	}
	return rules.Judge(m.symbols), nil
}

// together runs the checks of a stage at the same time; their symbols come in the order of the checks.
func (e *Engine) together(ctx context.Context, m *Mail, stage Stage) []Symbol {
	found := make([][]Symbol, len(e.Checks))
	var all sync.WaitGroup
	for i, c := range e.Checks {
		if c.Stage() == stage {
			all.Go(func() { found[i] = e.run(ctx, c, m) })
		}
	}
	all.Wait()
	var symbols []Symbol
	for _, f := range found {
		symbols = append(symbols, f...)
	}
	return symbols
}

func (e *Engine) run(ctx context.Context, c Check, m *Mail) (symbols []Symbol) {
	defer func() {
		if r := recover(); r != nil { // a plug-in's fault must not cost mail
			symbols = e.failed(ctx, c, fmt.Errorf("panic: %v", r))
		}
	}()
	symbols, err := c.Check(ctx, m)
	if err != nil {
		return append(symbols, e.failed(ctx, c, err)...)
	}
	return symbols
}

func (e *Engine) failed(ctx context.Context, c Check, err error) []Symbol {
	if e.Logger != nil {
		e.Logger.LogAttrs(ctx, slog.LevelWarn, "spam check failed", slog.String("check", c.Name()), slog.Any("error", err))
	}
	return []Symbol{{Name: "CHECK_FAILED", Detail: c.Name() + ": " + err.Error()}}
}

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

// A Composite is a symbol made of others.
type Composite struct {
	Name    string   `json:"name"`
	All     []string `json:"all,omitempty"`     // every one of these
	Any     []string `json:"any,omitempty"`     // and at least one of these, if there are any
	None    []string `json:"none,omitempty"`    // and none of these
	Replace []string `json:"replace,omitempty"` // symbols that count nothing beside it
}

// Judge weighs symbols. A symbol that comes with a score of its own keeps it when the rules have no weight for it.
func (r *Rules) Judge(found []Symbol) *Verdict {
	symbols := append([]Symbol(nil), found...)
	has := map[string]bool{}
	for i := range symbols {
		has[symbols[i].Name] = true
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
	sort.SliceStable(symbols, func(i, j int) bool { return abs(symbols[i].Score) > abs(symbols[j].Score) })
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

func abs(v float64) float64 { return max(v, -v) }

// DefaultRules gives the rules that come with the checks of this module.
func DefaultRules() *Rules { return defaultRules() }
