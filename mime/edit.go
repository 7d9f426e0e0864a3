package mime

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteTo writes the message as it was received, to the octet.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	if m.src == nil {
		return 0, ErrNoSource
	}
	return io.Copy(w, io.NewSectionReader(m.src, 0, m.size))
}

// An Edit changes a message that was read: fields are added, replaced and removed, and parts replaced and removed. Everything else
// stays as it is to the octet, and what is new has the line ends of the message's header. Signatures over what changes no longer hold.
type Edit struct {
	m       *Message
	fields  map[int][]fieldChange
	removed map[int]bool
	files   map[int]File
	err     error
}

// Edit starts a change of the message, which itself stays as it is.
func (m *Message) Edit() *Edit {
	return &Edit{m: m, fields: map[int][]fieldChange{}, removed: map[int]bool{}, files: map[int]File{}}
}

// Add puts a field before all others of the message, as servers do with trace fields; of several, the last one comes first.
func (e *Edit) Add(name, value string) {
	if f := e.field(name, value); f != nil {
		e.fields[0] = append([]fieldChange{{"", f}}, e.fields[0]...)
	}
}

// Set puts a field into the part's header in the place of those with the name, or before all others. The value is text: what is not ASCII is encoded
// (RFC 2047). An empty value removes the field.
func (e *Edit) Set(p *Part, name, value string) {
	if f := e.field(name, value); f != nil {
		e.fields[p.Index()] = append(e.fields[p.Index()], fieldChange{name, f})
	}
}

func (e *Edit) field(name, value string) []byte {
	b := &builder{}
	if b.checkName(name); b.err == nil {
		b.unstructured(name, value)
	}
	if e.err == nil {
		e.err = b.err
	}
	if b.err != nil {
		return nil
	}
	return append([]byte{}, b.buf...)
}

// Remove leaves a part of a multipart out, with everything inside. Where no part remains, an empty one does: a multipart has at least one.
func (e *Edit) Remove(p *Part) {
	if e.inMultipart(p) {
		e.removed[p.Index()] = true
	}
}

// Replace puts a file in the place of a part of a multipart.
func (e *Edit) Replace(p *Part, f File) {
	if e.inMultipart(p) {
		e.files[p.Index()] = f
	}
}

func (e *Edit) inMultipart(p *Part) bool {
	if in := p.Parent(); in != nil && in.IsMultipart() {
		return true
	}
	if e.err == nil {
		e.err = &PartError{Part: p.Index(), Reason: "it is not part of a multipart"}
	}
	return false
}

// Compose returns the changed message. It reads from the source of the original. Its envelope is not known: From is "", and there are no Recipients.
func (e *Edit) Compose() (*Composed, error) {
	if e.err != nil {
		return nil, e.err
	}
	if e.m.src == nil {
		return nil, ErrNoSource
	}
	r := newPatch(e.m, e.m.src)
	for p := range e.m.Parts() {
		if p.headerStart < r.pos {
			continue // inside of what is gone
		}
		var err error
		if f, ok := e.files[p.Index()]; ok {
			err = r.replace(p, f)
		} else if e.removed[p.Index()] {
			err = r.remove(p, !e.keepsAny(p.Parent()))
		} else if changes := e.fields[p.Index()]; changes != nil {
			err = r.header(p, changes...)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.finish()
}

// keepsAny reports whether any part of a multipart stays.
func (e *Edit) keepsAny(multipart *Part) bool {
	for c := range multipart.Children() {
		if !e.removed[c.Index()] {
			return true
		}
	}
	return false
}

// remove leaves p out with the delimiter before it. The last of several without any left becomes an empty text.
func (r *patch) remove(p *Part, none bool) error {
	if none && p.next == 0 {
		r.copy(p.headerStart)
		r.add(crlf)
		r.pos = p.bodyEnd
		return r.lineEnd(p)
	}
	start, err := r.delimiterBefore(p)
	if err != nil {
		return err
	}
	r.copy(start)
	if p.next != 0 {
		r.pos, err = r.delimiterBefore(&r.m.parts[p.next])
		return err
	}
	n, err := r.eolAt(p.bodyEnd)
	r.pos = p.bodyEnd + n
	return err
}

// replace puts a file in the place of p.
func (r *patch) replace(p *Part, f File) error {
	b := &builder{}
	disposition := "attachment"
	if p.Disposition().Type == "inline" && (f.ContentID != "" || f.Name != "") {
		disposition = "inline"
	}
	part := b.file("Replace", f, disposition, Capabilities{})
	if b.err != nil {
		return b.err
	}
	r.copy(p.headerStart)
	c := &Composed{}
	part.appendTo(c)
	// The line end that comes before the delimiter is there already.
	if last := &c.segments[len(c.segments)-1]; last.file == nil && bytes.HasSuffix(last.data, crlf) && r.lineEndFollows(p) {
		last.data = last.data[:len(last.data)-2]
	}
	r.pos = p.bodyEnd
	return r.addAll(c)
}

func (r *patch) lineEndFollows(p *Part) bool {
	n, err := r.eolAt(p.bodyEnd)
	return err == nil && n > 0
}

// lineEnd adds the line end before a delimiter where the message lacks it.
func (r *patch) lineEnd(p *Part) error {
	n, err := r.eolAt(p.bodyEnd)
	if err == nil && n == 0 && p.bodyEnd < r.m.size {
		r.add(crlf)
	}
	return err
}

// eolAt returns the length of the line end at off.
func (r *patch) eolAt(off int64) (int64, error) {
	var b [2]byte
	n, err := r.src.ReadAt(b[:min(2, r.m.size-off)], off)
	switch {
	case n == 2 && b[0] == '\r' && b[1] == '\n':
		return 2, nil
	case n > 0 && b[0] == '\n':
		return 1, nil
	case err == io.EOF:
		err = nil
	}
	return 0, err
}

// delimiterBefore returns where the delimiter line before p starts.
func (r *patch) delimiterBefore(p *Part) (int64, error) {
	n := min(p.headerStart, maxDelimiter+2)
	b := make([]byte, n)
	if _, err := r.src.ReadAt(b, p.headerStart-n); err != nil && err != io.EOF {
		return 0, fmt.Errorf("mime: read part %d: %w", p.Index(), err)
	}
	line := bytes.LastIndexByte(b[:max(0, n-1)], '\n') + 1
	return p.headerStart - n + int64(line), nil
}

// StripAttachments returns the message without its attachments but for those that keep says, and the names of those that are gone.
func (m *Message) StripAttachments(keep func(*Part) bool) (*Composed, []string, error) {
	e := m.Edit()
	var gone []string
	for _, p := range m.Attachments() {
		if in := p.Parent(); in != nil && in.IsMultipart() && !(keep != nil && keep(p)) {
			e.Remove(p)
			gone = append(gone, oneLine(p.Filename()))
		}
	}
	c, err := e.Compose()
	return c, slices.Clip(gone), err
}

// checkName refuses what is no field name (RFC 5322 s2.2).
func (b *builder) checkName(name string) {
	if name == "" || !isPrintable(name) || strings.ContainsAny(name, ": ") || len(name) > foldColumn {
		b.fail("Extra", fmt.Sprintf("has a name that is no field name: %q", name))
	}
}
