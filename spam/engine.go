package spam

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// graceTime is how long checks may take to notice that the deadline has passed.
const graceTime = 100 * time.Millisecond

// A Check looks at one side of a [Mail]. It gives symbols by name; what they weigh is said by the [Rules]. Checks of one stage
// run at the same time, each on a copy of the Mail, and must not change what it refers to. Those that fill in its Authentication
// stand in Engine.First.
type Check interface {
	Name() string
	Stage() Stage
	Check(ctx context.Context, m *Mail) ([]Symbol, error)
}

// An Engine is the [Scorer] of this package: checks find symbols, rules weigh them.
type Engine struct {
	First    []Check       // run before the others of their stage, in order: they establish what others build on. They have to heed the context.
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

// together runs the checks of a stage at the same time; their symbols come in the order of the checks. Checks that do not end with the deadline are left
// behind: they have a copy of the Mail.
func (e *Engine) together(ctx context.Context, m *Mail, stage Stage) []Symbol {
	type result struct {
		i       int
		symbols []Symbol
	}
	found := make([][]Symbol, len(e.Checks))
	results := make(chan result, len(e.Checks))
	running := map[int]bool{}
	for i, c := range e.Checks {
		if c.Stage() == stage {
			running[i] = true
			own := *m
			go func() { results <- result{i, e.run(ctx, c, &own)} }()
		}
	}
	done, grace := ctx.Done(), (<-chan time.Time)(nil)
	for len(running) > 0 {
		select {
		case r := <-results:
			found[r.i] = r.symbols
			delete(running, r.i)
		case <-done:
			done, grace = nil, time.After(graceTime)
		case <-grace:
			for i := range running {
				found[i] = e.failed(ctx, e.Checks[i], context.Cause(ctx))
			}
			clear(running)
		}
	}
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
