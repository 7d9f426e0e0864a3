package bayes

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of what is learned from one message.
const (
	maxTokens = 20000 // different ones
	minWord   = 2     // bytes
	maxWord   = 30
	maxFields = 500     // of the header
	arenaSize = 1 << 20 // bytes of token text kept for explanations
)

// A token is one thing that a message says. Its hash is what is stored.
type token struct {
	hash uint64
	text span
}

type span struct{ from, to int32 }

// tokens collects the different tokens of one message. It is used again for the next.
type tokens struct {
	list  []token
	arena []byte  // the texts of the tokens
	table []int32 // open addressing: index in list plus one
	upper int     // letters of the word that were capitals
	word  []byte  // the word being read, in lower case
	last  []byte  // the word before it, for pairs
	id    [16]byte

	hashes []uint64  // of list, in its order
	counts []Count   // what is known of them
	odds   []float64 // what they say
}

func (t *tokens) reset() {
	t.list, t.arena, t.last = t.list[:0], t.arena[:0], t.last[:0]
	if t.table == nil {
		t.table = make([]int32, 4096)
	} else {
		clear(t.table)
	}
}

// The hash is FNV-1a of 64 bits with a finish that spreads the high bits; it is part of the stored format.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hash(parts ...[]byte) uint64 {
	h := uint64(fnvOffset)
	for _, p := range parts {
		for _, c := range p {
			h = (h ^ uint64(c)) * fnvPrime
		}
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ (h >> 32)
}

// add takes prefix followed by the texts as one token.
func (t *tokens) add(prefix string, texts ...[]byte) {
	from := len(t.arena)
	t.arena = append(t.arena, prefix...)
	for _, text := range texts {
		t.arena = append(t.arena, text...)
	}
	h := hash(t.arena[from:])
	mask := len(t.table) - 1
	i := int(h) & mask
	for t.table[i] != 0 {
		if t.list[t.table[i]-1].hash == h {
			t.arena = t.arena[:from]
			return
		}
		i = (i + 1) & mask
	}
	if len(t.list) == maxTokens {
		t.arena = t.arena[:from]
		return
	}
	to := len(t.arena)
	if to > arenaSize { // beyond, tokens count but cannot be named
		t.arena, to = t.arena[:from], from
	}
	t.list = append(t.list, token{h, span{int32(from), int32(to)}})
	t.table[i] = int32(len(t.list))
	if 2*len(t.list) > len(t.table) {
		t.grow()
	}
}

func (t *tokens) grow() {
	t.table = make([]int32, 2*len(t.table))
	mask := len(t.table) - 1
	for n := range t.list {
		i := int(t.list[n].hash) & mask
		for t.table[i] != 0 {
			i = (i + 1) & mask
		}
		t.table[i] = int32(n + 1)
	}
}

// words takes the words of a text, and the pairs of words that stand beside each other.
func (t *tokens) words(prefix string, text string) {
	t.word, t.last = t.word[:0], t.last[:0]
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch class[c] {
			case wordSign:
				t.word = append(t.word, c|lower[c])
				t.upper += int(lower[c]) >> 5
			case inWord: // within words: don't, e-mail, 3.50
				if len(t.word) > 0 && i < len(text) && (text[i] >= utf8.RuneSelf || class[text[i]] == wordSign) {
					t.word = append(t.word, c)
				} else {
					t.end(prefix)
				}
			default:
				t.end(prefix)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai): // scripts without spaces: each sign is a word
			t.end(prefix)
			t.word = utf8.AppendRune(t.word, r)
			t.end(prefix)
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			t.word = utf8.AppendRune(t.word, unicode.ToLower(r))
		case invisible(r):
		default:
			t.end(prefix)
		}
	}
	t.end(prefix)
}

// invisible tells signs that are put into words to hide them: soft hyphens, joiners of no width, combining marks.
func invisible(r rune) bool {
	return r == 0xad || r >= 0x200b && r <= 0x200f || r == 0x2060 || r == 0xfeff || unicode.Is(unicode.Mn, r)
}

func (t *tokens) end(prefix string) {
	if len(t.word) == 0 {
		return
	}
	if n := len(t.word); n >= minWord && n <= maxWord {
		t.add(prefix, t.word)
		if t.upper == n && n > 2 {
			t.add("caps:", t.word)
		}
		if len(t.last) > 0 {
			t.add(prefix, t.last, space, t.word)
		}
		t.last = append(t.last[:0], t.word...)
	} else if n > maxWord {
		t.last = t.last[:0]
	}
	t.word, t.upper = t.word[:0], 0
}

var space = []byte{' '}

// one takes a text as one token.
func (t *tokens) one(prefix, text string) {
	if text = strings.ToLower(strings.TrimSpace(text)); text != "" && len(text) <= 200 {
		t.add(prefix, []byte(text))
	}
}

const (
	wordSign = 1
	inWord   = 2
)

// class and lower say what ASCII characters are in words.
var class, lower = func() (class, lower [128]byte) {
	for c := range 128 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '$', b == '!', b == '_', b == '%':
			class[c] = wordSign
		case b >= 'A' && b <= 'Z':
			class[c], lower[c] = wordSign, 0x20
		case b == '\'', b == '-', b == '.', b == ',':
			class[c] = inWord
		}
	}
	return class, lower
}()
