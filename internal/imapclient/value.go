package imapclient

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind says what a Value is.
type Kind uint8

const (
	Nil     Kind = iota
	Atom         // also numbers, flags, and names such as BODY[1.MIME]<0>
	Quoted       // quoted string
	Literal      // literal; Literal8 too
	List         // parenthesized
)

// Value is one element of what a server sends.
type Value struct {
	Kind Kind
	Text string  // of an Atom, Quoted or Literal
	List []Value // of a List
}

// IsString reports whether the value is a string: quoted, or a literal.
func (v Value) IsString() bool { return v.Kind == Quoted || v.Kind == Literal }

// Number parses an atom as a number.
func (v Value) Number() (uint64, error) {
	if v.Kind != Atom || v.Text == "" || v.Text[0] == '+' {
		return 0, fmt.Errorf("%w: %s is not a number", ErrProtocol, v)
	}
	n, err := strconv.ParseUint(v.Text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a number", ErrProtocol, v)
	}
	return n, nil
}

// Strings returns the texts of the elements of a list.
func (v Value) Strings() []string {
	out := make([]string, 0, len(v.List))
	for _, e := range v.List {
		out = append(out, e.Text)
	}
	return out
}

// String writes the value as the protocol does, literals as quoted strings.
func (v Value) String() string {
	switch v.Kind {
	case Nil:
		return "NIL"
	case Atom:
		return v.Text
	case List:
		parts := make([]string, len(v.List))
		for i, e := range v.List {
			parts[i] = e.String()
		}
		return "(" + strings.Join(parts, " ") + ")"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v.Text) + `"`
}

// Code is a response code, the part in brackets of a status response.
type Code struct {
	Name string // in upper case; empty: none
	Args []Value
}

// Untagged is an untagged response.
type Untagged struct {
	Number uint32 // of EXISTS, RECENT, EXPUNGE and FETCH
	Name   string // in upper case
	Values []Value
	Code   Code   // of OK, NO, BAD, BYE and PREAUTH
	Text   string // likewise
}

// Reply is everything a command brought.
type Reply struct {
	Untagged []Untagged
	Status   string // OK, NO or BAD
	Code     Code
	Text     string
}

// Named returns the untagged responses of that name.
func (r *Reply) Named(name string) []Untagged {
	var out []Untagged
	for _, u := range r.Untagged {
		if u.Name == name {
			out = append(out, u)
		}
	}
	return out
}
