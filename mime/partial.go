package mime

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A Fragment says which piece of a message that was cut in several a message/partial is (RFC 2046 s5.2.2).
type Fragment struct {
	ID            string
	Number, Total int // Number counts from 1; Total is 0 where it is not said
}

// maxFragments bounds how many pieces a message may have.
const maxFragments = 10000

// Fragment returns what the part says of itself, and whether it is a message/partial.
func (p *Part) Fragment() (Fragment, bool) {
	if p.mediaType != "message/partial" {
		return Fragment{}, false
	}
	params := p.ContentType().Params
	number, err := strconv.Atoi(params.Get("number"))
	total, totalErr := strconv.Atoi(params.Get("total"))
	f := Fragment{ID: params.Get("id"), Number: number, Total: total}
	if totalErr != nil || total < 0 {
		f.Total = 0
	}
	return f, err == nil && number > 0 && number <= maxFragments && f.ID != ""
}

// A FragmentsError says which pieces of a message are missing, or that a message is no piece of it.
type FragmentsError struct {
	ID      string
	Missing []int // numbers; nil where it is not known how many there are
	Stray   int   // index of the message that does not belong, or -1
}

func (e *FragmentsError) Error() string {
	switch {
	case e.Stray >= 0:
		return fmt.Sprintf("mime: message %d is no fragment of %q", e.Stray, e.ID)
	case e.Missing == nil:
		return fmt.Sprintf("mime: the last fragment of %q is missing", e.ID)
	}
	return fmt.Sprintf("mime: %d fragments of %q are missing, the first is %d", len(e.Missing), e.ID, e.Missing[0])
}

// JoinFragments puts a message together that was cut in several (message/partial, RFC 2046 s5.2.2.1). The fragments may come in any order, and more
// than once. The result reads from their sources. The error is a [*FragmentsError] where they do not make one message.
func JoinFragments(fragments ...*Message) (*Composed, error) {
	byNumber, total, id := map[int]*Message{}, 0, ""
	for i, m := range fragments {
		f, ok := m.Root().Fragment()
		if !ok || i > 0 && f.ID != id || total > 0 && (f.Total > 0 && f.Total != total || f.Number > total) {
			return nil, &FragmentsError{ID: id, Stray: i}
		}
		if m.src == nil {
			return nil, ErrNoSource
		}
		id = f.ID
		if byNumber[f.Number] == nil {
			byNumber[f.Number] = m
		}
		if f.Total > 0 && f.Total <= maxFragments {
			total = f.Total
		}
	}
	if total == 0 {
		return nil, &FragmentsError{ID: id, Stray: -1}
	}
	var missing []int
	for n := 1; n <= total; n++ {
		if byNumber[n] == nil {
			missing = append(missing, n)
		}
	}
	if missing != nil {
		return nil, &FragmentsError{ID: id, Missing: missing, Stray: -1}
	}
	outer := byNumber[1]
	inner, err := ParseLimits(io.NewSectionReader(outer.src, outer.parts[0].bodyStart, outer.parts[0].Size()), outer.parts[0].Size(), outer.limits)
	if err != nil {
		return nil, err
	}
	c := &Composed{}
	c.add(joinHeaders(outer.Header(), inner.Header()))
	c.header = ParseHeader(bytes.Clone(c.segments[0].data))
	at := inner.parts[0].bodyStart
	for n := 1; n <= total; n++ {
		m := byNumber[n]
		off, length := m.parts[0].BodyRange()
		if n == 1 {
			off, length = off+at, length-at
		}
		c.addRaw("fragment", span{m.src, off, length})
	}
	c.utf8 = !isASCII(c.header.Bytes())
	return c, nil
}

// joinHeaders is the header of the whole: most fields are those around the first fragment, and those of its content are the ones inside.
func joinHeaders(outer, inner Header) (b []byte) {
	take := func(h Header, inside bool) {
		for f := range h.Fields() {
			name := strings.ToLower(f.Name())
			content := strings.HasPrefix(name, "content-") || slices.Contains([]string{"subject", "message-id", "encrypted", "mime-version"}, name)
			if content != inside {
				continue
			}
			if b = append(b, f.Raw()...); b[len(b)-1] != '\n' {
				b = append(b, crlf...)
			}
		}
	}
	take(outer, false)
	take(inner, true)
	return append(b, crlf...)
}
