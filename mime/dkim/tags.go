package dkim

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
)

// A tag of a tag list (RFC 6376 s3.2).
type tag struct{ name, value string }

type tags []tag

// parseTags reads a tag list. Values keep the white space inside them.
func parseTags(s string) (tags, error) {
	list := make(tags, 0, 12)
	for s != "" {
		var spec string
		spec, s, _ = strings.Cut(s, ";")
		spec = strings.Trim(spec, fws)
		if spec == "" {
			if strings.Trim(s, fws) == "" {
				break // a semicolon may end the list
			}
			return nil, fmt.Errorf("empty tag")
		}
		name, value, ok := strings.Cut(spec, "=")
		name = strings.TrimRight(name, fws)
		if !ok || !isTagName(name) {
			return nil, fmt.Errorf("malformed tag %.20q", spec)
		}
		if list.has(name) {
			return nil, fmt.Errorf("tag %.20q twice", name) // s3.2: the whole list is invalid
		}
		if len(list) == maxTags {
			return nil, fmt.Errorf("more than %d tags", maxTags)
		}
		list = append(list, tag{name, strings.TrimLeft(value, fws)})
	}
	return list, nil
}

const fws = " \t\r\n"

func isTagName(s string) bool {
	for i := range len(s) {
		c := lower(s[i])
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '_')) {
			return false
		}
	}
	return s != ""
}

func (t tags) lookup(name string) (value string, ok bool) {
	for _, tag := range t {
		if tag.name == name {
			return tag.value, true
		}
	}
	return "", false
}

func (t tags) has(name string) bool { _, ok := t.lookup(name); return ok }

// get returns the value of a tag, or def if it is absent.
func (t tags) get(name, def string) string {
	if value, ok := t.lookup(name); ok {
		return value
	}
	return def
}

// required returns the value of a tag that must be there and not be empty.
func (t tags) required(name string) (string, error) {
	value, ok := t.lookup(name)
	if !ok {
		return "", fmt.Errorf("no %s= tag", name)
	}
	if value == "" {
		return "", fmt.Errorf("empty %s= tag", name)
	}
	return value, nil
}

// number reads a decimal tag, -1 if it is absent. What is larger than an int64 stays at its end (l= may have 76 digits).
func (t tags) number(name string, digits int) (int64, error) {
	value, ok := t.lookup(name)
	if !ok {
		return -1, nil
	}
	if value == "" || len(value) > digits {
		return 0, fmt.Errorf("%s= is not a number", name)
	}
	var n int64
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%s= is not a number", name)
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// splitList cuts a list at colons and removes the white space around its members.
func splitList(s string) []string {
	list := make([]string, 0, strings.Count(s, ":")+1)
	for item := range strings.SplitSeq(s, ":") {
		list = append(list, strings.Trim(item, fws))
	}
	return list
}

// inList reports whether a list at colons has the item, in any case of letters.
func inList(list, item string) bool {
	for s := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.Trim(s, fws), item) {
			return true
		}
	}
	return false
}

// decodeBase64 decodes base64 with white space anywhere.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, fws) {
		s = strings.Map(func(r rune) rune {
			if strings.ContainsRune(fws, r) {
				return -1
			}
			return r
		}, s)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		// Some signers leave out the padding, which changes nothing.
		b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	}
	return b, err
}

// decodeQP decodes RFC 6376 s2.11's quoted-printable.
func decodeQP(s string) string {
	if !strings.Contains(s, "=") && !strings.ContainsAny(s, fws) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if strings.IndexByte(fws, c) >= 0 {
			continue
		}
		if c == '=' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
