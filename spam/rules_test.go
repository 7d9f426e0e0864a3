package spam_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

func testRules() *spam.Rules {
	return &spam.Rules{
		Weights: map[string]spam.Weight{
			"A": {Score: 1, Description: "a"}, "B": {Score: 2}, "G1": {Score: 3, Group: "g"}, "G2": {Score: 3, Group: "g"}, "GOOD": {Score: -2, Group: "g"},
			"AB": {Score: 10}, "AB_NOT_C": {Score: 20}, "C": {}, "STOP": {},
		},
		Groups: map[string]float64{"g": 4},
		Composites: []spam.Composite{
			{Name: "AB", All: []string{"A", "B"}, Replace: []string{"B"}},
			{Name: "AB_NOT_C", All: []string{"AB"}, Any: []string{"A", "G1"}, None: []string{"C"}},
		},
		Actions: []spam.Threshold{{Score: 5, Action: spam.Junk}, {Score: 100, Action: spam.Reject}},
		Force:   map[string]spam.Action{"STOP": spam.Defer, "C": spam.Junk},
		Texts:   map[spam.Action]string{spam.Defer: "later"},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		found  []spam.Symbol
		score  float64
		action spam.Action
	}{
		{"nothing", nil, 0, spam.Accept},
		{"one", []spam.Symbol{{Name: "A"}}, 1, spam.Accept},
		{"a factor", []spam.Symbol{{Name: "B", Score: 0.25}}, 0.5, spam.Accept},
		{"unknown keeps its score", []spam.Symbol{{Name: "X", Score: 7}}, 7, spam.Junk},
		{"no numbers", []spam.Symbol{{Name: "X", Score: math.NaN()}, {Name: "Y", Score: math.Inf(-1)}, {Name: "Z", Score: 5}}, 5, spam.Junk},
		{"the group's cap", []spam.Symbol{{Name: "G1"}, {Name: "G2"}}, 4, spam.Accept},
		{"a cap does not take away what is good", []spam.Symbol{{Name: "G1"}, {Name: "GOOD"}, {Name: "G2"}}, 2, spam.Accept},
		{"composites, one on the other, one replacing", []spam.Symbol{{Name: "A"}, {Name: "B"}}, 31, spam.Junk},
		{"composite with none", []spam.Symbol{{Name: "A"}, {Name: "B"}, {Name: "C"}}, 11, spam.Junk},
		{"thresholds are reached at their score", []spam.Symbol{{Name: "X", Score: 5}}, 5, spam.Junk},
		{"just below", []spam.Symbol{{Name: "X", Score: 4.999}}, 4.999, spam.Accept},
		{"the last threshold", []spam.Symbol{{Name: "X", Score: 1000}}, 1000, spam.Reject},
		{"force", []spam.Symbol{{Name: "C"}, {Name: "STOP"}}, 0, spam.Defer},
		{"force does not weaken", []spam.Symbol{{Name: "X", Score: 100}, {Name: "STOP"}}, 100, spam.Reject},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := testRules().Judge(c.found)
			require.InDelta(t, c.score, v.Score, 1e-9, v.String())
			require.Equal(t, c.action, v.Action)
			sum := 0.0
			for _, s := range v.Symbols {
				sum += s.Score
			}
			require.InDelta(t, v.Score, sum, 1e-9, "every point has a reason")
			if c.action == spam.Defer {
				require.Equal(t, "later", v.Text)
			}
		})
	}
}

func TestRulesJSON(t *testing.T) {
	t.Parallel()
	for _, rules := range []*spam.Rules{testRules(), spam.DefaultRules()} {
		data, err := json.MarshalIndent(rules, "", "  ")
		require.NoError(t, err)
		back, err := spam.RulesFromJSON(data)
		require.NoError(t, err)
		require.Equal(t, rules, back)
	}
	for _, c := range []struct{ name, json, field, text string }{
		{"no JSON", `{`, "the document", "unexpected end"},
		{"unknown field", `{"wieghts":{}}`, "wieghts", "no such field"},
		{"type deep inside", `{"weights":{"A":{"score":"much"}}}`, "weights.A.score", "string"},
		{"unknown member", `{"weights":{"A":{"scroe":1}}}`, "weights.A", "scroe"},
		{"no such action", `{"actions":[{"score":1,"action":"junk"},{"score":2,"action":"burn"}]}`, "actions[1]", `no action "burn"; there are accept, junk`},
		{"no such action in force", `{"force":{"A":"x"}}`, "force.A", `no action "x"`},
		{"no such action in texts", `{"texts":{"x":"y"}}`, "texts", `no action "x"`},
		{"thresholds out of order", `{"actions":[{"score":6,"action":"junk"},{"score":5,"action":"reject"}]}`, "actions[1]", "5 is not above 6"},
		{"composite of nothing", `{"weights":{"C":{"score":1}},"composites":[{"name":"C"}]}`, "composites[0] (C)", "never be found"},
		{"composite of an unknown symbol", `{"weights":{"C":{"score":1}},"composites":[{"name":"C","all":["D"]}]}`, "composites[0] (C)", "name D"},
		{"composite without a weight", `{"weights":{"A":{"score":1}},"composites":[{"name":"C","all":["A"]}]}`, "composites[0] (C)", "no weight"},
		{"composite of a later one", `{"weights":{"A":{},"C":{},"D":{}},"composites":[{"name":"C","all":["D"]},{"name":"D","all":["A"]}]}`, "composites[0] (C)", "does not come before"},
		{"composite of itself", `{"weights":{"C":{}},"composites":[{"name":"C","all":["C"]}]}`, "composites[0] (C)", "does not come before"},
		{"force of an unknown symbol", `{"force":{"A":"junk"}}`, "force.A", "no weight"},
		{"group below nothing", `{"groups":{"g":-1}}`, "groups.g", "from 0 on"},
		{"groups are no object", `{"groups":[]}`, "groups", "array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := spam.RulesFromJSON([]byte(c.json))
			var bad *spam.RulesError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.field, bad.Field)
			require.ErrorContains(t, err, c.text)
		})
	}
	require.Error(t, (&spam.Rules{Weights: map[string]spam.Weight{"A": {Score: math.NaN()}}}).Validate())
	require.Error(t, (&spam.Rules{Actions: []spam.Threshold{{Score: 1, Action: 9}}}).Validate())
}

// TestDocumented: the table in the documentation is the one that is used.
func TestDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for name, w := range spam.DefaultRules().Weights {
		found := false
		for line := range strings.Lines(string(doc)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[1] == name {
				found = true
				var score float64
				require.NoError(t, json.Unmarshal([]byte(f[2]), &score))
				require.InDelta(t, w.Score, score, 1e-9, name)
				require.Equal(t, w.Description, strings.Join(f[3:], " "))
			}
		}
		require.True(t, found, "%s is not in doc.go", name)
		if w.Group != "" {
			require.Contains(t, spam.DefaultRules().Groups, w.Group, name)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	v := &spam.Verdict{Score: 7.25, Action: spam.Junk, Text: "x", Symbols: []spam.Symbol{
		{Name: "SPF_FAIL", Score: 3, Description: "the sending host may not use this domain", Detail: "example.org by -all"},
		{Name: "BAD\r\nX-Injected: yes", Score: 4.25, Detail: "line\r\nline\x1b[31m"},
	}}
	require.Equal(t, "junk, score 7.25\n"+
		"   3.00  SPF_FAIL                 the sending host may not use this domain [example.org by -all]\n"+
		"   4.25  BADX-Injected: yes        [lineline[31m]\n", v.String())
	require.Equal(t, "X-Spam-Status: Yes, score=7.25, action=junk;\r\n\tSPF_FAIL=3.00,\r\n\tBAD__X-Injected__yes=4.25\r\n", string(v.Header()))
	data, err := v.JSON()
	require.NoError(t, err)
	var back spam.Verdict
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, *v, back)
	require.Contains(t, string(data), `"action":"junk"`)

	long := &spam.Verdict{Symbols: []spam.Symbol{{Name: strings.Repeat("X", 5000)}}}
	for line := range strings.SplitSeq(string(long.Header()), "\r\n") {
		require.LessOrEqual(t, len(line), 78)
	}
	data, err = testRules().Judge(nil).JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"score":0,"action":"accept","symbols":[]}`, string(data))
	require.Equal(t, "action(9)", spam.Action(9).String())
}
