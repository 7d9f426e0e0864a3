package mime

// Structure is the picture of a message that IMAP needs, computed once and kept beside it: ENVELOPE, BODYSTRUCTURE and the
// place of every section (RFC 9051 s7.5.2, s6.4.5). Strings are as in the header, unfolded and with comments gone, but
// with encoded words and RFC 2231 parameters as written: clients decode them.
type Structure struct {
	Size     int64    // of the message in octets as stored
	Envelope Envelope // of the message
	Root     BodyPart // the message's own body
}

// Envelope is the IMAP ENVELOPE of a message. Sender and ReplyTo are those of From where the header has none.
type Envelope struct {
	Date, Subject         string
	From, Sender, ReplyTo AddressList
	To, Cc, Bcc           AddressList
	InReplyTo, MessageID  string
}

// BodyPart is one part of the IMAP body structure.
//
// A multipart has at least one child: one without any gets an empty text/plain part. A message/rfc822 always has one
// child, which is the body of the message inside, and its Envelope.
type BodyPart struct {
	Type, Subtype     string  // in lower case, "text" and "plain" by default
	Params            []Param // of Content-Type, as written
	ID                string  // Content-ID
	Description       string  // Content-Description
	Encoding          string  // Content-Transfer-Encoding, "7bit" by default
	MD5               string  // Content-MD5
	Disposition       string  // "" if there is none
	DispositionParams []Param
	Language          []string
	Location          string

	HeaderOffset, HeaderSize int64 // header with its blank line: MIME, or HEADER for the body of a message
	Offset, Size             int64 // body in octets
	Lines                    int64 // line ends in the body

	Envelope *Envelope   // of the message inside a message/rfc822
	Children []*BodyPart // of a multipart, or the one body inside a message/rfc822
}

// IsMultipart reports whether the part is a multipart.
func (b *BodyPart) IsMultipart() bool { return len(b.Children) > 0 && b.Envelope == nil }

// IsMessage reports whether the part is a message/rfc822 or message/global, with Envelope and one child.
func (b *BodyPart) IsMessage() bool { return b.Envelope != nil }

// Specifier says which piece of a part a section means (RFC 9051 s6.4.5.1).
type Specifier uint8

// The specifiers of sections.
const (
	SectionBody   Specifier = iota // the part's body; with an empty path the whole message
	SectionHeader                  // HEADER of the message, or of the message inside a message/rfc822
	SectionText                    // TEXT: what follows that header
	SectionMIME                    // MIME: the part's own header
)

// Part returns the part with the path, counted from 1 as in IMAP, or nil. The empty path is the message's own body.
func (s *Structure) Part(path []int) *BodyPart {
	p, whole := &s.Root, true // whole: p is the body of a message, whose part 1 is itself unless it is a multipart
	for _, n := range path {
		if !whole && p.IsMessage() {
			p, whole = p.Children[0], true
		}
		switch {
		case p.IsMultipart() && n >= 1 && n <= len(p.Children):
			p, whole = p.Children[n-1], false
		case !p.IsMultipart() && whole && n == 1:
			whole = false
		default:
			return nil
		}
	}
	return p
}

// Section returns where a section stands in the message. It reports false for one that the message does not have.
func (s *Structure) Section(path []int, what Specifier) (offset, length int64, ok bool) {
	p := s.Part(path)
	if p == nil {
		return 0, 0, false
	}
	if len(path) == 0 {
		switch what {
		case SectionBody:
			return 0, s.Size, true
		case SectionHeader:
			return p.HeaderOffset, p.HeaderSize, true
		case SectionText:
			return p.Offset, p.Size, true
		}
		return 0, 0, false
	}
	switch {
	case what == SectionBody:
		return p.Offset, p.Size, true
	case what == SectionMIME:
		return p.HeaderOffset, p.HeaderSize, true
	case what == SectionHeader && p.IsMessage():
		return p.Children[0].HeaderOffset, p.Children[0].HeaderSize, true
	case what == SectionText && p.IsMessage():
		return p.Children[0].Offset, p.Children[0].Size, true
	}
	return 0, 0, false
}
