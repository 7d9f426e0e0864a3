// Package rules has what all stores agree on: names of mailboxes, flags and keywords, and how a prefix changes a message's structure.
package rules

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gomailroom/mailroom/imap"
)

const (
	maxName   = 1000 // octets
	maxLevels = 50
)

// Name gives the one spelling of a mailbox name: NFC, INBOX in capitals (RFC 3501 s5.1). Names that cannot be are ErrCannot.
func Name(name string) (string, error) {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: mailbox names have 1 to %d octets of UTF-8", imap.ErrCannot, maxName)
	}
	if !norm.NFC.IsNormalString(name) {
		name = norm.NFC.String(name)
	}
	levels := strings.Split(name, "/")
	if len(levels) > maxLevels {
		return "", fmt.Errorf("%w: %d levels of mailboxes, %d allowed", imap.ErrCannot, len(levels), maxLevels)
	}
	for _, level := range levels {
		if level == "" || strings.ContainsFunc(level, unicode.IsControl) || strings.ContainsAny(level, "\u2028\u2029") { // RFC 5198 s2, RFC 9051 s5.1
			return "", fmt.Errorf("%w: a level of the mailbox name is empty or has a control character", imap.ErrCannot)
		}
	}
	if strings.EqualFold(levels[0], "INBOX") {
		levels[0] = "INBOX"
		name = strings.Join(levels, "/")
	}
	return name, nil
}

// Ancestors gives the levels above a name, the highest first.
func Ancestors(name string) []string {
	var all []string
	for i := range len(name) {
		if name[i] == '/' {
			all = append(all, name[:i])
		}
	}
	return all
}

// Below says whether name is below parent in the hierarchy.
func Below(name, parent string) bool {
	return len(name) > len(parent) && name[len(parent)] == '/' && strings.HasPrefix(name, parent)
}

// MaxMailboxes is how many mailboxes, and how many subscriptions, an account can have.
const MaxMailboxes = 10_000

// NewName is Name for CREATE, which lets a separator at the end pass (RFC 3501 s6.3.3).
func NewName(name string) (string, error) { return Name(strings.TrimSuffix(name, "/")) }

// SpecialUse gives the one spelling of a special-use attribute that a mailbox can be created with (RFC 6154 s3). \All and \Flagged are views that no store here has.
func SpecialUse(use string) (string, error) {
	if use == "" {
		return "", nil
	}
	for _, known := range []string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`} {
		if strings.EqualFold(use, known) {
			return known, nil
		}
	}
	return "", fmt.Errorf("%w: no mailbox for %.20q", imap.ErrCannot, use)
}

// Renamed is one step of a RENAME.
type Renamed struct{ From, To string }

// Rename works out what a RENAME does to the names of an account, except for INBOX itself (RFC 3501 s6.3.5): which names change, and which are made above the new one. exists says which names
// there are; names gives them all.
func Rename(from, to string, exists func(string) bool, names []string) (moves []Renamed, above []string, err error) {
	switch {
	case !exists(from):
		return nil, nil, fmt.Errorf("%w: %s", imap.ErrNotFound, from)
	case exists(to):
		return nil, nil, fmt.Errorf("%w: %s", imap.ErrExists, to)
	case Below(to, from):
		return nil, nil, fmt.Errorf("%w: a mailbox cannot move below itself", imap.ErrCannot)
	}
	for _, name := range names {
		if name != from && !Below(name, from) {
			continue
		}
		target, err := Name(to + name[len(from):])
		if err != nil {
			return nil, nil, err
		}
		if exists(target) {
			return nil, nil, fmt.Errorf("%w: %s", imap.ErrExists, target)
		}
		moves = append(moves, Renamed{name, target})
	}
	for _, name := range Ancestors(to) {
		if !exists(name) {
			above = append(above, name)
		}
	}
	return moves, above, nil
}
