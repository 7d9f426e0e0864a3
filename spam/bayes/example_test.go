package bayes_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/bayes"
)

func Example() {
	ctx := context.Background()
	store := &bayes.Memory{}
	classifier := &bayes.Classifier{Store: store, MinExamples: 2}
	write := func(n int, text string) *spam.Mail {
		return &spam.Mail{Account: "ann", Message: mime.ParseBytes(fmt.Appendf(nil, "Message-ID: <%d@example.com>\r\nSubject: %s\r\n\r\n%s\r\n", n, text, text))}
	}
	for n := range 3 {
		// What the users of a mailbox say, by moving messages into Junk and out of it.
		if err := classifier.Learn(ctx, write(n, "cheap pills and lottery prizes"), true); err != nil {
			fmt.Println(err)
		}
		if err := classifier.Learn(ctx, write(10+n, "minutes of the garden meeting"), false); err != nil {
			fmt.Println(err)
		}
	}
	r, err := classifier.Classify(ctx, "ann", write(20, "a lottery with prizes").Message)
	fmt.Println(r.Probability > 0.9, r.Learned, err)

	var file bytes.Buffer // into a file beside the old one, which it then replaces
	if err := store.Save(&file); err != nil {
		fmt.Println(err)
	}
	var later bayes.Memory
	fmt.Println(later.Load(&file))
	fmt.Println(later.Size("ann"))
	// Output:
	// true {3 3} <nil>
	// <nil>
	// 40 6
}
