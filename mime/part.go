package mime

import (
	"io"
	"iter"
	"strings"
)

// Part is one entity of a message (RFC 2045 s2.4): the message itself, a part of a multipart, or the message inside a
// message/rfc822.
type Part struct {
	msg                             *Message
	mediaType                       string // "type/subtype" in lower case
	encoding                        Encoding
	multipart                       bool // opened as a multipart
	embeds                          bool // opened as a message: its one child is that message
	depth                           int32
	index, parent                   int32
	first, last, next               int32 // 0: none, since the root is nobody's child
	headAt, headEnd                 int   // header in msg.head
	headerStart, bodyStart, bodyEnd int64
	lines                           int64
}

// Header returns the part's header, or what Limits keep of it.
func (p *Part) Header() Header {
	return Header{raw: p.msg.head[p.headAt:p.headEnd:p.headEnd], offset: p.headerStart, limits: &p.msg.limits}
}

// Message returns the message that the part belongs to.
func (p *Part) Message() *Message { return p.msg }

// Index returns the part's place in Message.Parts.
func (p *Part) Index() int { return int(p.index) }

// Depth returns how many parts the part is nested in.
func (p *Part) Depth() int { return int(p.depth) }

// Parent returns the part that contains this one, or nil for the message itself.
func (p *Part) Parent() *Part {
	if p.index == 0 {
		return nil
	}
	return &p.msg.parts[p.parent]
}

// Children yields the parts of a multipart, or the one message inside a message/rfc822, in order.
func (p *Part) Children() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		for i := p.first; i != 0; i = p.msg.parts[i].next {
			if !yield(&p.msg.parts[i]) {
				return
			}
		}
	}
}

// IsLeaf reports whether the part has no parts inside.
func (p *Part) IsLeaf() bool { return p.first == 0 }

// IsMultipart reports whether the part was read as a multipart. It may be empty.
func (p *Part) IsMultipart() bool { return p.multipart }

// MediaType returns the type and subtype in lower case, "text/plain" by default, or "message/rfc822" in a
// multipart/digest (RFC 2046 s5.1.5).
func (p *Part) MediaType() string { return p.mediaType }

// ContentType returns the media type with its parameters.
func (p *Part) ContentType() MediaType {
	t := p.Header().ContentType()
	if t.Type == "" {
		t.Type, t.Subtype, _ = strings.Cut(p.mediaType, "/")
	}
	return t
}

// Charset returns the charset parameter in lower case, or "us-ascii" (RFC 2045 s5.2).
func (p *Part) Charset() string {
	if cs := p.Header().ContentType().Params.Get("charset"); cs != "" {
		return strings.ToLower(cs)
	}
	return "us-ascii"
}

// Disposition returns the Content-Disposition (RFC 2183); its Type is "" if there is none.
func (p *Part) Disposition() Disposition { return p.Header().Disposition() }

// disposition returns the type of the Content-Disposition alone.
func (p *Part) disposition() string {
	f, ok := p.Header().find("Content-Disposition")
	if !ok {
		return ""
	}
	head, _ := dispositionHead(f.raw[f.colon+1:])
	return internLower(stripComments(head))
}

// Filename returns the file name of the disposition, or else the name of the media type, decoded, or "". Line ends and NUL
// are spaces; else it is what the sender wrote: never use it as a path.
func (p *Part) Filename() string {
	h := p.Header()
	if name := h.Disposition().Params.Get("filename"); name != "" {
		return withoutControls(name)
	}
	return withoutControls(h.ContentType().Params.Get("name"))
}

// ContentID returns the Content-ID without its angle brackets, or "".
func (p *Part) ContentID() string {
	if ids := p.Header().MessageIDs("Content-ID"); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// Encoding returns the transfer encoding. That of a multipart is the identity, whatever its header says (RFC 2045 s6.4).
func (p *Part) Encoding() Encoding { return p.encoding }

// HeaderRange returns where the header starts in the message, and its length with the blank line.
func (p *Part) HeaderRange() (offset, length int64) {
	return p.headerStart, p.bodyStart - p.headerStart
}

// BodyRange returns where the body starts in the message, and its length. The line end before a delimiter line belongs
// to the delimiter (RFC 2046 s5.1.1).
func (p *Part) BodyRange() (offset, length int64) { return p.bodyStart, p.bodyEnd - p.bodyStart }

// Size returns the length of the body as it stands in the message.
func (p *Part) Size() int64 { return p.bodyEnd - p.bodyStart }

// Lines returns the number of line ends in the body.
func (p *Part) Lines() int64 { return p.lines }

// Raw returns a reader of the body as it stands in the message.
func (p *Part) Raw() io.Reader {
	if p.msg.src == nil {
		return errReader{ErrNoSource}
	}
	return io.NewSectionReader(p.msg.src, p.bodyStart, p.bodyEnd-p.bodyStart)
}

// Decoded returns a reader of the body without its transfer encoding. Broken encoding never stops it, nor makes itself known: what cannot be
// decoded is left out (base64) or kept (quoted-printable), and an unknown encoding is read as it is. [Part.DecodedStrict] ends with an error then, and
// [Part.Check] says beforehand.
func (p *Part) Decoded() io.Reader { return NewDecoder(p.encoding, p.Raw()) }

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// Content returns the body without its transfer encoding as what can be opened again and again, as a [File] of another letter has it. Its Size is -1:
// it is not known before the body was read.
func (p *Part) Content() Content { return partContent{p} }
