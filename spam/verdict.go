package spam

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// A Scorer judges a [Mail]. Score is called as the Mail grows, once for each stage the caller has, and judges by all that is known. An error means that there is no
// verdict; the caller decides what that means. Implementations are safe for concurrent use.
type Scorer interface {
	Score(ctx context.Context, m *Mail, s Stage) (*Verdict, error)
}

// A Learner takes examples from people: messages that were moved to Junk or out of it. Both are idempotent: learning the same message in the same way again
// changes nothing, and learning it the other way takes the first back.
type Learner interface {
	Learn(ctx context.Context, m *Mail, spam bool) error
	Unlearn(ctx context.Context, m *Mail) error
}

// A Symbol is one finding.
type Symbol struct {
	Name        string  `json:"name"` // SPF_FAIL, BAYES_SPAM, ...
	Score       float64 `json:"score"`
	Description string  `json:"description,omitempty"` // what the symbol means
	Detail      string  `json:"detail,omitempty"`      // what was found here
}

// An Action is what to do with a message.
type Action int

// The actions, the mildest first.
const (
	Accept Action = iota
	Junk          // file it into the Junk mailbox
	Defer         // refuse it for now (4xx): greylisting, rate limits
	Reject        // refuse it (5xx)
)

var actionNames = [...]string{"accept", "junk", "defer", "reject"}

func (a Action) String() string {
	if a < 0 || int(a) >= len(actionNames) {
		return fmt.Sprintf("action(%d)", int(a))
	}
	return actionNames[a]
}

// MarshalText gives the action's name.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText takes an action's name.
func (a *Action) UnmarshalText(b []byte) error {
	for i, name := range actionNames {
		if name == string(b) {
			*a = Action(i)
			return nil
		}
	}
	return fmt.Errorf("spam: no action %q; there are %s", b, strings.Join(actionNames[:], ", "))
}

// A Verdict is a judgement with a reason for every point.
type Verdict struct {
	Score   float64  `json:"score"`
	Action  Action   `json:"action"`
	Symbols []Symbol `json:"symbols"`
	Text    string   `json:"text,omitempty"` // for the reply when the action is Defer or Reject
}

// String gives a table, a line for each symbol.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, score %.2f\n", v.Action, v.Score)
	for _, s := range v.Symbols {
		fmt.Fprintf(&b, "%7.2f  %-24s %s", s.Score, oneLine(s.Name), oneLine(s.Description))
		if s.Detail != "" {
			fmt.Fprintf(&b, " [%s]", oneLine(s.Detail))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// oneLine leaves out what would break a line or a terminal: details come from messages and from other people's servers.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// word keeps the characters of symbols' names, at most 60 of them: a field must not be broken by a plug-in's names.
func word(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), 60)]
}

// JSON gives the verdict as one object.
func (v *Verdict) JSON() ([]byte, error) { return json.Marshal(v) }

// Header gives the fields to put before a judged message: X-Spam-Status with the action, the score and the symbols with their points. It ends with CRLF.
func (v *Verdict) Header() []byte {
	var b strings.Builder
	flag := "No"
	if v.Action != Accept {
		flag = "Yes"
	}
	fmt.Fprintf(&b, "X-Spam-Status: %s, score=%.2f, action=%s", flag, v.Score, v.Action)
	for i, s := range v.Symbols {
		sep := ","
		if i == 0 {
			sep = ";"
		}
		fmt.Fprintf(&b, "%s\r\n\t%s=%.2f", sep, word(s.Name), s.Score)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
