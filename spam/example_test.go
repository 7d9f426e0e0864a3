package spam_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/heuristics"
)

// words is a check of one's own: it finds words that the house does not want to read.
type words struct{ unwanted []string }

func (words) Name() string      { return "words" }
func (words) Stage() spam.Stage { return spam.StageBody }

func (w words) Check(_ context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	text, err := m.Message.Text()
	if err != nil {
		return nil, err
	}
	for _, word := range w.unwanted {
		if strings.Contains(strings.ToLower(text), word) {
			return []spam.Symbol{{Name: "UNWANTED_WORD", Detail: word}}, nil
		}
	}
	return nil, nil
}

func Example() {
	rules := spam.DefaultRules()
	rules.Weights["UNWANTED_WORD"] = spam.Weight{Score: 4, Description: "a word that this house does not want"}
	engine := &spam.Engine{
		Checks: append(heuristics.Checks(heuristics.Options{}), words{[]string{"casino"}}),
		Rules:  rules,
	}
	m := &spam.Mail{Message: mime.ParseBytes([]byte("From: Luck <win@example.com>\r\nTo: bob@example.net\r\nMessage-ID: <1@example.com>\r\n" +
		"Subject: FREE MONEY FOR YOU!!!\r\n\r\nOur casino waits.\r\n"))}
	v, err := engine.Score(context.Background(), m, spam.StageBody)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(v)
	fmt.Print(strings.ReplaceAll(string(v.Header()), "\r", ""))
	// Output:
	// junk, score 7.70
	//    4.00  UNWANTED_WORD            a word that this house does not want [casino]
	//    1.50  SUBJECT_CAPS             the subject is in capitals [FREE MONEY FOR YOU!!!]
	//    1.20  SUBJECT_EXCLAIMS         the subject shouts with !!! or $$$ [FREE MONEY FOR YOU!!!]
	//    1.00  DATE_MISSING             there is no Date
	// X-Spam-Status: Yes, score=7.70, action=junk;
	// 	UNWANTED_WORD=4.00,
	// 	SUBJECT_CAPS=1.50,
	// 	SUBJECT_EXCLAIMS=1.20,
	// 	DATE_MISSING=1.00
}

func ExampleRulesFromJSON() {
	_, err := spam.RulesFromJSON([]byte(`{"actions": [{"score": 6, "action": "junk"}, {"score": 4, "action": "reject"}]}`))
	fmt.Println(err)
	// Output: spam: rules: actions[1]: its score 4 is not above 6, that of the threshold before
}
