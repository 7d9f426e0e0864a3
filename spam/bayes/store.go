package bayes

import "context"

// A Class is what an example is known as.
type Class uint8

// The classes.
const (
	Unknown Class = iota
	Ham
	Spam
)

func (c Class) String() string {
	switch c {
	case Ham:
		return "ham"
	case Spam:
		return "spam"
	}
	return "unknown"
}

// A Count says how many examples of each class there are.
type Count struct{ Spam, Ham uint32 }

// An Example is what is learned from one message: the hashes of its tokens, each once, and the digest by which it is known again. Two examples with
// one ID have the same tokens.
type Example struct {
	ID     [16]byte
	Tokens []uint64
	Weight uint32 // as how many it counts; at least 1
}

// Learned says how much an account has learned.
type Learned struct {
	Examples Count
	Weights  Count // the sum of the examples' weights
}

// A Store keeps what was learned, apart for each account; the account "" is what all share. Implementations are safe for concurrent use.
type Store interface {
	// Counts writes into counts, which is as long as tokens, the weights of the examples in which each token was seen. An account that nothing is
	// known of has none.
	Counts(ctx context.Context, account string, tokens []uint64, counts []Count) (Learned, error)

	// Set makes an example known as of a class, and takes back what it was known as before, with the weight it had then; Unknown only takes back. It is
	// atomic, and changed says whether anything was done: an example that is of the class already is left alone.
	Set(ctx context.Context, account string, e Example, c Class) (changed bool, err error)
}
