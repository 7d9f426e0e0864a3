package bayes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
)

// A Classifier learns what people call spam. It is a [spam.Check] of [spam.StageAccount] and a [spam.Learner]; Mail.Account says whose knowledge is used and
// added to, beside that of the account "", which is everybody's. It is safe for concurrent use.
type Classifier struct {
	Store       Store   // required
	MinExamples int     // of spam and as many of ham, before it says anything; default 20
	Full        int     // of each, from which on it has its full weight; default 200
	Own         float64 // how many shared examples one of the account itself is worth; default 5

	pool sync.Pool
}

var (
	_ spam.Check   = (*Classifier)(nil)
	_ spam.Learner = (*Classifier)(nil)
)

// ErrNoMessage is what Learn and Unlearn say of a Mail without a Message.
var ErrNoMessage = errors.New("bayes: the mail has no message to learn from")

// A Result is what a [Classifier] thinks of a message.
type Result struct {
	Probability float64 // of spam; one half when nothing is known
	Trained     bool    // enough examples are known of both classes
	Learned     Count   // the examples that it rests on
	Clues       []Clue  // the strongest, at most 8
}

// A Clue is a token that speaks for or against.
type Clue struct {
	Token       string
	Probability float64
}

// Name implements [spam.Check].
func (c *Classifier) Name() string { return "bayes" }

// Stage implements [spam.Check].
func (c *Classifier) Stage() spam.Stage { return spam.StageAccount }

// Check implements [spam.Check]: BAYES_SPAM or BAYES_HAM with a strength in (0, 1], or nothing while there is too little to tell by.
func (c *Classifier) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Message == nil || m.Identity != "" {
		return nil, nil
	}
	r, err := c.Classify(ctx, m.Account, m.Message)
	if err != nil || !r.Trained {
		return nil, err
	}
	// Little knowledge has little weight: the square root gives a third of it at a tenth of the examples.
	size := math.Sqrt(min(1, float64(min(r.Learned.Spam, r.Learned.Ham))/float64(or(c.Full, 200))))
	s := spam.Symbol{Score: math.Abs(2*r.Probability-1) * size, Detail: r.detail()}
	switch {
	case r.Probability >= 0.6:
		s.Name = "BAYES_SPAM"
	case r.Probability <= 0.4:
		s.Name = "BAYES_HAM"
	default:
		return nil, nil
	}
	return []spam.Symbol{s}, nil
}

func (r *Result) detail() string {
	text := fmt.Sprintf("%.4f", r.Probability)
	for i, clue := range r.Clues {
		sep := ", "
		if i == 0 {
			sep = "; "
		}
		text += fmt.Sprintf("%s%s %.2f", sep, clue.Token, clue.Probability)
	}
	return text
}

// Classify gives what an account's knowledge says of a message.
func (c *Classifier) Classify(ctx context.Context, account string, m *mime.Message) (Result, error) {
	t := c.take()
	defer c.pool.Put(t)
	t.read(m)
	k, err := c.know(ctx, account, t)
	if err != nil {
		return Result{}, err
	}
	least := uint32(or(c.MinExamples, 20))
	r := Result{Probability: 0.5, Learned: k.examples, Trained: k.examples.Spam >= least && k.examples.Ham >= least}
	if k.examples.Spam == 0 || k.examples.Ham == 0 {
		return r, nil
	}
	score := k.score(t)
	r.Probability = 1 / (1 + math.Exp(-score))
	r.Clues = t.clues()
	return r, nil
}

// Learn implements [spam.Learner]. A message that surprises counts more than one that was judged right already.
func (c *Classifier) Learn(ctx context.Context, m *spam.Mail, isSpam bool) error {
	class := Ham
	if isSpam {
		class = Spam
	}
	return c.set(ctx, m, class)
}

// Unlearn implements [spam.Learner]: what the message added is taken away again, exactly. A message that was not learned is no error.
func (c *Classifier) Unlearn(ctx context.Context, m *spam.Mail) error { return c.set(ctx, m, Unknown) }

func (c *Classifier) set(ctx context.Context, m *spam.Mail, class Class) error {
	if m.Message == nil {
		return ErrNoMessage
	}
	t := c.take()
	defer c.pool.Put(t)
	t.read(m.Message)
	e := Example{ID: t.id, Tokens: slices.Clone(t.hashes), Weight: 1}
	if class != Unknown {
		k, err := c.know(ctx, m.Account, t)
		if err != nil {
			return err
		}
		if k.examples.Spam > 0 && k.examples.Ham > 0 {
			margin := k.score(t)
			if class == Ham {
				margin = -margin
			}
			if margin < sure {
				e.Weight = surprise
			}
		}
	}
	if _, err := c.Store.Set(ctx, m.Account, e, class); err != nil {
		return fmt.Errorf("bayes: cannot learn: %w", err)
	}
	return nil
}

func (c *Classifier) take() *tokens {
	if t, ok := c.pool.Get().(*tokens); ok {
		return t
	}
	return &tokens{}
}

// The parameters, as measured on mail.
const (
	prior    = 0.05 // how many examples the belief that a token says nothing is worth
	sure     = 3    // a score beyond which nothing is to be learned
	surprise = 4    // what an example counts that was not judged so
)

// knowledge is what is known of the tokens of a message.
type knowledge struct {
	examples   Count
	spam, ham  float64 // the weights of all examples
	own        float64
	counts     []Count // of the account
	sharedOnly bool
	shared     []Count
}

func (c *Classifier) know(ctx context.Context, account string, t *tokens) (knowledge, error) {
	n := len(t.hashes)
	t.counts = slices.Grow(t.counts[:0], 2*n)[:2*n]
	k := knowledge{counts: t.counts[:n], shared: t.counts[n:], own: c.Own, sharedOnly: account == ""}
	if k.own == 0 {
		k.own = 5
	}
	shared, err := c.Store.Counts(ctx, "", t.hashes, k.shared)
	if err != nil {
		return k, fmt.Errorf("bayes: %w", err)
	}
	var mine Learned
	if k.sharedOnly {
		clear(k.counts)
	} else if mine, err = c.Store.Counts(ctx, account, t.hashes, k.counts); err != nil {
		return k, fmt.Errorf("bayes: %w", err)
	}
	k.examples = Count{shared.Examples.Spam + mine.Examples.Spam, shared.Examples.Ham + mine.Examples.Ham}
	k.spam = float64(shared.Weights.Spam) + k.own*float64(mine.Weights.Spam)
	k.ham = float64(shared.Weights.Ham) + k.own*float64(mine.Weights.Ham)
	return k, nil
}

// score adds the evidence of all tokens: the logarithm of the odds that each gives (Robinson's f(w)), over the square root of their number, since tokens of one
// message are anything but independent. It is positive for spam.
func (k *knowledge) score(t *tokens) float64 {
	sum := 0.0
	for i := range t.hashes {
		b := float64(k.shared[i].Spam) + k.own*float64(k.counts[i].Spam)
		g := float64(k.shared[i].Ham) + k.own*float64(k.counts[i].Ham)
		t.odds[i] = 0
		if b+g > 0 {
			bad, good := b/k.spam, g/k.ham
			p := bad / (bad + good)
			f := (prior*0.5 + (b+g)*p) / (prior + b + g)
			t.odds[i] = math.Log(f / (1 - f))
		}
		sum += t.odds[i]
	}
	if len(t.hashes) == 0 {
		return 0
	}
	return sum / math.Sqrt(float64(len(t.hashes)))
}

// clues gives the strongest tokens.
func (t *tokens) clues() []Clue {
	const most = 8
	var best []int
	for i, o := range t.odds {
		if o == 0 || len(best) == most && math.Abs(o) <= math.Abs(t.odds[best[most-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, i, func(a, b int) int { return cmp.Compare(math.Abs(t.odds[b]), math.Abs(t.odds[a])) })
		best = slices.Insert(best, at, i)[:min(most, len(best)+1)]
	}
	clues := make([]Clue, 0, len(best))
	for _, i := range best {
		s := t.list[i].text
		clues = append(clues, Clue{string(t.arena[s.from:s.to]), 1 / (1 + math.Exp(-t.odds[i]))})
	}
	return clues
}
