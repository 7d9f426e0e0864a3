package imap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gomailroom/mailroom/mime"
)

// A needle is a text to look for without regard to case. One of US-ASCII alone, which is nearly every one, is compared octet by octet.
type needle struct {
	folded string
	ascii  bool
}

func newNeedle(text string) needle {
	n := needle{ascii: true}
	for i := 0; i < len(text); i++ {
		n.ascii = n.ascii && text[i] < utf8.RuneSelf
	}
	n.folded = n.fold(text)
	return n
}

func (n *needle) fold(s string) string {
	if n.ascii {
		return string(lowerASCII([]byte(s)))
	}
	return strings.ToLower(norm.NFC.String(s))
}

var lowerTable = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// lowerASCII folds in place.
func lowerASCII(b []byte) []byte {
	for i, c := range b {
		b[i] = lowerTable[c]
	}
	return b
}

// in looks in a text.
func (n *needle) in(s string) bool {
	if n.folded == "" {
		return true
	}
	if !n.ascii {
		return strings.Contains(n.fold(s), n.folded)
	}
	first := n.folded[0]
	for i := 0; i+len(n.folded) <= len(s); i++ {
		if lowerTable[s[i]] != first {
			continue
		}
		j := 1
		for j < len(n.folded) && lowerTable[s[i+j]] == n.folded[j] {
			j++
		}
		if j == len(n.folded) {
			return true
		}
	}
	return false
}

// inField looks in what the envelope has of a header field.
func (n *needle) inField(v any) bool {
	switch v := v.(type) {
	case string:
		return n.inValue(v)
	case mime.AddressList:
		for i := range v {
			g := &v[i]
			if g.IsGroup && n.inValue(g.Name) {
				return true
			}
			for j := range g.Members {
				a := &g.Members[j]
				if n.inValue(a.Name) || n.in(a.Addr) || a.Name != "" && n.in(a.Name+" <"+a.Addr+">") {
					return true
				}
			}
		}
	}
	return false
}

// inValue looks in a header value, as it is written and as people read it.
func (n *needle) inValue(s string) bool {
	return n.in(s) || strings.Contains(s, "=?") && n.in(mime.DecodeText(s))
}

// inHeader looks in the fields of a name.
func (n *needle) inHeader(item *Item, name string) (bool, error) {
	h, err := readHeader(item)
	if err != nil {
		return false, err
	}
	for f := range h.Fields() {
		if f.Is(name) && (n.folded == "" || n.in(f.Text()) || n.in(f.Value())) {
			return true, nil
		}
	}
	return false, nil
}

func readHeader(item *Item) (mime.Header, error) {
	off, size, _ := item.Structure.Section(nil, mime.SectionHeader)
	raw := make([]byte, min(size, maxHeader))
	if n, err := item.Body.ReadAt(raw, off); n < len(raw) {
		return mime.Header{}, noEOF(err)
	}
	return mime.ParseHeader(raw), nil
}

// inMessage looks in the text parts, decoded, and with headers in all headers.
func (n *needle) inMessage(item *Item, headers bool) (bool, error) {
	if n.folded == "" {
		return true, nil
	}
	if headers {
		h, err := readHeader(item)
		if err != nil {
			return false, err
		}
		if n.inHeaderText(h) {
			return true, nil
		}
	}
	return n.inPart(item.Body, &item.Structure.Root, headers)
}

func (n *needle) inHeaderText(h mime.Header) bool {
	if n.ascii && n.in(string(h.Bytes())) {
		return true
	}
	for f := range h.Fields() {
		if raw := f.Raw(); n.ascii && !bytes.Contains(raw, []byte("=?")) && bytes.Count(raw, []byte("\n")) < 2 {
			continue // no other than what was looked at
		}
		if n.in(f.Name() + ": " + f.Text()) {
			return true
		}
	}
	return false
}

func (n *needle) inPart(body Body, p *mime.BodyPart, headers bool) (bool, error) {
	for _, child := range p.Children {
		if headers && p.IsMessage() {
			raw := make([]byte, min(child.HeaderSize, maxHeader))
			if k, err := body.ReadAt(raw, child.HeaderOffset); k < len(raw) {
				return false, noEOF(err)
			}
			if n.inHeaderText(mime.ParseHeader(raw)) {
				return true, nil
			}
		}
		if found, err := n.inPart(body, child, headers); found || err != nil {
			return found, err
		}
	}
	if len(p.Children) > 0 || !strings.EqualFold(p.Type, "text") {
		return false, nil
	}
	var r io.Reader = io.NewSectionReader(body, p.Offset, p.Size)
	switch enc := mime.ParseEncoding(p.Encoding); enc {
	case mime.Encoding7Bit, mime.Encoding8Bit, mime.EncodingBinary:
	default:
		r = mime.NewDecoder(enc, r)
	}
	charset := ""
	for i := range p.Params {
		if strings.EqualFold(p.Params[i].Name, "charset") {
			charset = p.Params[i].Value
		}
	}
	if !n.ascii || !asciiSuperset(charset) {
		r = mime.NewCharsetReader(charset, r)
	}
	return n.inReader(r)
}

// asciiSuperset says that US-ASCII text is found in a charset without conversion.
func asciiSuperset(charset string) bool {
	c := strings.ToLower(charset)
	return c == "" || c == "us-ascii" || c == "utf-8" || strings.HasPrefix(c, "iso-8859-") || strings.HasPrefix(c, "windows-125")
}

// inReader looks in a stream, a block at a time; blocks overlap by what the needle may reach over.
func (n *needle) inReader(r io.Reader) (bool, error) {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	overlap := len(n.folded) - 1
	if !n.ascii {
		overlap = 3*len(n.folded) + utf8.UTFMax // folding and composing change lengths
	}
	needle := []byte(n.folded)
	kept := 0
	for {
		k, err := io.ReadFull(r, block[kept:])
		text := block[:kept+k]
		if n.ascii {
			lowerASCII(text[kept:])
			if bytes.Contains(text, needle) {
				return true, nil
			}
		} else if strings.Contains(n.fold(string(text)), n.folded) {
			return true, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		kept = copy(block[:], text[max(0, len(text)-overlap):])
	}
}
