package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/imap"
)

const maxKeyword = 255 // octets

// Keywords gives the bits of the keywords wanted, and the list of a mailbox with those that it did not have. have stays as it is.
func Keywords(have, want []string) (all []string, bits imap.Flags, err error) {
	all = have
	for _, name := range want {
		i := slices.IndexFunc(all, func(other string) bool { return strings.EqualFold(name, other) })
		if i < 0 {
			if !isKeyword(name) {
				return nil, 0, fmt.Errorf("%w: %.40q is no keyword", imap.ErrCannot, name)
			}
			if i = len(all); i == imap.MaxKeywords {
				return nil, 0, fmt.Errorf("%w: a mailbox has at most %d keywords", imap.ErrLimit, imap.MaxKeywords)
			}
			all = append(all[:i:i], name)
		}
		bits |= imap.FlagKeyword << i
	}
	return all, bits, nil
}

// Known gives the bits of those keywords that the mailbox has.
func Known(have, want []string) (bits imap.Flags) {
	for _, name := range want {
		if i := slices.IndexFunc(have, func(other string) bool { return strings.EqualFold(name, other) }); i >= 0 {
			bits |= imap.FlagKeyword << i
		}
	}
	return bits
}

// Names gives the names of keyword bits.
func Names(keywords []string, flags imap.Flags) []string {
	var names []string
	for i, name := range keywords {
		if flags&(imap.FlagKeyword<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// isKeyword says whether name is an atom without a backslash (RFC 3501 s9, flag-keyword).
func isKeyword(name string) bool {
	if name == "" || len(name) > maxKeyword {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// Change is a flag change as masks: the new flags are old & And | Or.
type Change struct{ And, Or imap.Flags }

// NewChange puts an operation on the given bits into masks.
func NewChange(op imap.FlagOp, bits imap.Flags) Change {
	switch op {
	case imap.FlagsAdd:
		return Change{^imap.Flags(0), bits}
	case imap.FlagsRemove:
		return Change{^bits, 0}
	default:
		return Change{0, bits}
	}
}

// Apply gives the new flags.
func (c Change) Apply(old imap.Flags) imap.Flags { return old&c.And | c.Or }
