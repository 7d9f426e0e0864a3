package bayes

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

var (
	spamWords = strings.Fields("viagra lottery winner prize million dollars click claim urgent transfer inheritance pills cheap casino bonus free guarantee offer limited")
	hamWords  = strings.Fields("meeting project minutes review patch compile test branch merge lunch tomorrow schedule report agenda kernel library release thanks regards")
	allWords  = strings.Fields("the and with from this that have your will for are not you can our please time about more would")
)

// letter invents a message.
func letter(n int, spammy bool) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	words, from := hamWords, "ann@example.org"
	if spammy {
		words, from = spamWords, fmt.Sprintf("x%d@offers.example", n)
	}
	var text strings.Builder
	for range 60 {
		list := allWords
		if r.IntN(3) == 0 {
			list = words
		}
		text.WriteString(list[r.IntN(len(list))] + " ")
	}
	return fmt.Appendf(nil, "From: <%s>\r\nTo: bob@example.net\r\nSubject: %s %s\r\nMessage-ID: <%d@%v>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n%s\r\n",
		from, words[r.IntN(len(words))], words[r.IntN(len(words))], n, spammy, text.String())
}

func mail(account string, raw []byte) *spam.Mail {
	return &spam.Mail{Account: account, Message: mime.ParseBytes(raw)}
}

func learn(t testing.TB, c *Classifier, account string, n int) {
	for i := range n {
		require.NoError(t, c.Learn(t.Context(), mail(account, letter(i, true)), true))
		require.NoError(t, c.Learn(t.Context(), mail(account, letter(i, false)), false))
	}
}

func saved(t *testing.T, m *Memory) []byte {
	var b bytes.Buffer
	require.NoError(t, m.Save(&b))
	return b.Bytes()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		learned  int
		spammy   bool
		symbol   string
		from, to float64
	}{
		{"untrained", 19, true, "", 0, 0},
		{"little trained", 20, true, "BAYES_SPAM", 0.1, 0.35},
		{"spam", 200, true, "BAYES_SPAM", 0.8, 1},
		{"ham", 200, false, "BAYES_HAM", 0.8, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &Classifier{Store: &Memory{}}
			learn(t, b, "", c.learned)
			found, err := b.Check(t.Context(), mail("ann", letter(5000, c.spammy)))
			require.NoError(t, err)
			if c.symbol == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Equal(t, c.symbol, found[0].Name)
			require.GreaterOrEqual(t, found[0].Score, c.from)
			require.LessOrEqual(t, found[0].Score, c.to)
			require.Contains(t, found[0].Detail, ";", "the strongest clues are named")
		})
	}
	found, err := (&Classifier{Store: &Memory{}}).Check(t.Context(), &spam.Mail{})
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	b := &Classifier{Store: &Memory{}}
	learn(t, b, "", 50)
	newsletter := []byte("From: <news@shop.example>\r\nSubject: gardening roses tulips\r\nMessage-ID: <1@x>\r\n\r\nroses tulips shovels seeds soil compost greenhouse\r\n")
	for i := range 10 {
		m := mail("ann", append(fmt.Appendf(nil, "X-Number: %d\r\n", i), newsletter...))
		require.NoError(t, b.Learn(t.Context(), m, true))
	}
	ann, err := b.Classify(t.Context(), "ann", mime.ParseBytes(newsletter))
	require.NoError(t, err)
	bob, err := b.Classify(t.Context(), "bob", mime.ParseBytes(newsletter))
	require.NoError(t, err)
	require.Greater(t, ann.Probability, 0.9)
	require.Less(t, bob.Probability, 0.6, "what Ann calls spam is not spam for Bob")
}

// TestUnlearn is the promise of spam.Learner: idempotent, the other way takes back, and taking back is exact.
func TestUnlearn(t *testing.T) {
	t.Parallel()
	store := &Memory{}
	b := &Classifier{Store: store}
	learn(t, b, "ann", 30)
	state := func() (map[uint64]Count, Learned) {
		a := store.model("ann", true)
		counts := map[uint64]Count{}
		for h, e := range a.tokens {
			counts[h] = e.Count
		}
		return counts, a.learned
	}
	tokens, learned := state()
	m := mail("ann", letter(999, true))
	require.NoError(t, b.Learn(t.Context(), m, true))
	asSpam, learnedSpam := state()
	require.NotEqual(t, tokens, asSpam)
	for range 3 {
		require.NoError(t, b.Learn(t.Context(), m, true))
	}
	again, learnedAgain := state()
	require.Equal(t, asSpam, again)
	require.Equal(t, learnedSpam, learnedAgain)
	require.NoError(t, b.Learn(t.Context(), m, false))
	_, turned := state()
	require.Equal(t, learned.Examples.Ham+1, turned.Examples.Ham)
	require.Equal(t, learned.Examples.Spam, turned.Examples.Spam)
	for range 2 {
		require.NoError(t, b.Unlearn(t.Context(), m))
		back, learnedBack := state()
		require.Equal(t, tokens, back)
		require.Equal(t, learned, learnedBack)
	}
	require.NoError(t, b.Unlearn(t.Context(), mail("nobody", letter(1, true))))
	require.ErrorIs(t, b.Learn(t.Context(), &spam.Mail{}, true), ErrNoMessage)
}

// TestFromMailbox: a message is the same after delivery, with the fields that were added.
func TestFromMailbox(t *testing.T) {
	t.Parallel()
	raw := append([]byte("Received: from a.example by b.example; Mon, 2 Nov 2026 09:00:00 +0000\r\n"), letter(1, true)...)
	filed := append([]byte("X-Spam-Status: Yes, score=7.00, action=junk;\r\n\tBAYES_SPAM=6.00\r\nReturn-Path: <x@y.example>\r\nDelivered-To: bob@example.net\r\n"+
		"Authentication-Results: mx.example.net; spf=pass\r\nReceived: from b.example by mx.example.net; Mon, 2 Nov 2026 10:00:00 +0000\r\n"), raw...)
	var arrived, stored tokens
	arrived.read(mime.ParseBytes(raw))
	stored.read(mime.ParseBytes(filed))
	require.Equal(t, arrived.hashes, stored.hashes)
	require.Equal(t, arrived.id, stored.id)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	store := &Memory{MaxTokens: 2000, MaxExamples: 50}
	b := &Classifier{Store: store}
	learn(t, b, "", 200)
	tokens, examples := store.Size("")
	require.LessOrEqual(t, tokens, 2000)
	require.LessOrEqual(t, examples, 50)
	r, err := b.Classify(t.Context(), "", mime.ParseBytes(letter(5000, true)))
	require.NoError(t, err)
	require.Greater(t, r.Probability, 0.9, "what is common stays")
	for i := range 200 {
		require.NoError(t, b.Unlearn(t.Context(), mail("", letter(i, true))))
	}
	store.Remove("")
	tokens, examples = store.Size("")
	require.Zero(t, tokens+examples)
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	store := &Memory{}
	b := &Classifier{Store: store}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 50 {
				raw := letter(i, g%2 == 0)
				account := fmt.Sprint("a", i%3)
				_ = b.Learn(t.Context(), mail(account, raw), g%2 == 0)
				_, _ = b.Classify(t.Context(), account, mime.ParseBytes(raw))
				_ = store.Save(&bytes.Buffer{})
				_ = b.Unlearn(t.Context(), mail(account, raw))
			}
		})
	}
	all.Wait()
	for i := range 3 {
		tokens, examples := store.Size(fmt.Sprint("a", i))
		require.Zero(t, tokens)
		require.Zero(t, examples)
	}
}

func TestSaveLoad(t *testing.T) {
	t.Parallel()
	store := &Memory{}
	b := &Classifier{Store: store}
	learn(t, b, "", 25)
	learn(t, b, "ann", 5)
	data := saved(t, store)
	var other Memory
	require.NoError(t, other.Load(bytes.NewReader(data)))
	require.Equal(t, data, saved(t, &other))
	want, err := b.Classify(t.Context(), "ann", mime.ParseBytes(letter(77, true)))
	require.NoError(t, err)
	got, err := (&Classifier{Store: &other}).Classify(t.Context(), "ann", mime.ParseBytes(letter(77, true)))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, other.Load(bytes.NewReader(saved(t, &Memory{}))), "nothing can be saved and loaded too")

	before := saved(t, store)
	for i := 0; i < len(data); i += 97 {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		var bad *FormatError
		require.ErrorAs(t, store.Load(bytes.NewReader(damaged)), &bad, "byte %d", i)
		require.ErrorAs(t, store.Load(bytes.NewReader(data[:i])), &bad, "cut at %d", i)
	}
	require.Error(t, store.Load(bytes.NewReader(append(bytes.Clone(data), 0))))
	require.ErrorContains(t, store.Load(strings.NewReader(magic+"\x07")), "version 7")
	broken := errors.New("disk")
	require.ErrorIs(t, store.Load(failing{broken}), broken)
	require.ErrorIs(t, store.Save(failing{broken}), broken)
	require.Equal(t, before, saved(t, store), "what cannot be loaded changes nothing")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestVersion1 opens what the first version wrote, and finds the tokens that it hashed.
func TestVersion1(t *testing.T) {
	t.Parallel()
	const name = "testdata/version1.bayes"
	if os.Getenv("MAILROOM_WRITE_TESTDATA") != "" {
		store := &Memory{}
		learn(t, &Classifier{Store: store}, "", 25)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, saved(t, store), 0o644))
	}
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	var store Memory
	require.NoError(t, store.Load(f))
	b := &Classifier{Store: &store}
	r, err := b.Classify(t.Context(), "", mime.ParseBytes(letter(300, true)))
	require.NoError(t, err)
	require.Equal(t, Count{25, 25}, r.Learned)
	require.Greater(t, r.Probability, 0.9)
	require.NoError(t, b.Unlearn(t.Context(), mail("", letter(3, true))))
	r, err = b.Classify(t.Context(), "", mime.ParseBytes(letter(300, true)))
	require.NoError(t, err)
	require.Equal(t, Count{24, 25}, r.Learned, "its examples are known again")
}

func BenchmarkClassify(b *testing.B) {
	c := &Classifier{Store: &Memory{}}
	learn(b, c, "", 200)
	raw := letter(5000, true)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := c.Classify(b.Context(), "", mime.ParseBytes(raw)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLearn(b *testing.B) {
	c := &Classifier{Store: &Memory{MaxTokens: 100_000}}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if err := c.Learn(b.Context(), mail("", letter(n, n%2 == 0)), n%2 == 0); err != nil {
			b.Fatal(err)
		}
	}
}
