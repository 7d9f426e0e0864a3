package protect

import (
	"errors"
	"io"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// ErrHeader is returned for a message whose header is beyond the limits of package mime.
var ErrHeader = errors.New("the header of the message is too long")

// Options say how a message is made ready.
type Options struct {
	Sign    bool   // it will be signed: 7 bits, no white space at line ends
	Encrypt bool   // it will be encrypted: some fields do not stay outside
	Subject string // of the outer message, if Encrypt
	Spool   mime.SpoolLimits
}

// A Payload is a message in canonical form, ready to be signed or encrypted.
type Payload struct {
	Outer  []byte // fields of the message around it, without content fields or a blank line
	header []byte
	src    *mime.Spooled
	sign   bool
	rootQP bool // the body is one text that becomes quoted-printable
}

// New makes the payload of a message. Close frees what it keeps.
func New(c mime.Content, o Options) (*Payload, error) {
	// RFC 3156 s3, RFC 8551 s3.1.2: what is signed is 7bit. What is encrypted has lines, so that it is no longer binary.
	c, err := mime.ReEncode(c, mime.Capabilities{EightBit: !o.Sign})
	if err != nil {
		return nil, err
	}
	o.Spool.Size = -1
	src, err := SpoolContent(c, o.Spool)
	if err != nil {
		return nil, err
	}
	root := src.Message().Root()
	if _, n := root.HeaderRange(); int64(len(root.Header().Bytes())) != n {
		src.Close()
		return nil, ErrHeader
	}
	p := &Payload{src: src, sign: o.Sign}
	if o.Sign {
		if p.rootQP, err = p.needsQP(root); err != nil {
			src.Close()
			return nil, err
		}
	}
	p.header, p.Outer = split(root.Header(), o.Encrypt, o.Subject, p.rootQP)
	return p, nil
}

// Close frees what the payload keeps.
func (p *Payload) Close() error { return p.src.Close() }

// Write writes the payload. It gives the same octets every time.
func (p *Payload) Write(w io.Writer) error {
	if _, err := w.Write(p.header); err != nil {
		return err
	}
	m := p.src.Message()
	pos, n := m.Root().HeaderRange()
	pos += n
	if !p.sign {
		return p.copy(w, pos, m.Size(), keep)
	}
	for part := range m.Parts() {
		start, size := part.HeaderRange()
		offset, length := part.BodyRange()
		if offset < pos {
			continue // inside a part that was copied whole
		}
		root := part.Index() == 0
		if !root {
			if err := p.copy(w, pos, start, strip); err != nil {
				return err
			}
		}
		encode := p.rootQP
		if !root {
			var err error
			if encode, err = p.needsQP(part); err != nil {
				return err
			}
			if encode = encode && int64(len(part.Header().Bytes())) == size; encode {
				err = writeHeaderQP(w, part.Header())
			} else {
				err = p.copy(w, start, start+size, field)
			}
			if err != nil {
				return err
			}
		}
		var err error
		switch {
		case encode:
			err, pos = encodeQP(w, part.Raw()), offset+length
		case part.MediaType() == "multipart/signed":
			// What others signed stays as it is to the octet.
			err, pos = p.copy(w, offset, offset+length, keep), offset+length
		case part.IsLeaf():
			err, pos = p.copy(w, offset, offset+length, strip), offset+length
		default:
			pos = offset
		}
		if err != nil {
			return err
		}
	}
	return p.copy(w, pos, m.Size(), strip)
}

func (p *Payload) copy(w io.Writer, from, to int64, mode lineMode) error {
	return copyLines(w, io.NewSectionReader(p.src, from, to-from), mode)
}

// needsQP reports whether a part has lines that do not survive the way and no encoding yet.
func (p *Payload) needsQP(part *mime.Part) (bool, error) {
	if !part.IsLeaf() || part.Encoding() > mime.EncodingBinary || strings.HasPrefix(part.MediaType(), "multipart/") || strings.HasPrefix(part.MediaType(), "message/") {
		return false, nil
	}
	return fragile(part.Raw())
}

const qpField = "Content-Transfer-Encoding: quoted-printable\r\n"

func writeHeaderQP(w io.Writer, h mime.Header) error {
	for f := range h.Fields() {
		if f.Is("Content-Transfer-Encoding") {
			continue
		}
		if err := copyLines(w, strings.NewReader(string(f.Raw())), field); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, qpField+"\r\n")
	return err
}
