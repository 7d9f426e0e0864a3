package smime

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	stdmime "mime"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// A Sender signs and encrypts messages. It may be used by several goroutines.
type Sender struct {
	Identity Identity // signs

	To     []*x509.Certificate // who can read what is encrypted; put the sender's own certificate here, or the sender cannot
	Cipher Cipher              // default AES256CBC
	RSA    RSAPadding          // of signatures with RSA keys, and of encryption to them; default PKCS1

	// Subject stands outside of an encrypted message; the real one is inside (RFC 9788). Default "...".
	Subject string

	Memory int64  // octets of each copy of a message that stay in memory before a temporary file is used; default 256 KiB
	Dir    string // of temporary files; default os.TempDir
}

// A Protected message is signed or encrypted, and ready to be sent. It may be read by several goroutines.
type Protected struct{ j protect.Joined }

// Open returns a reader of the message from its start.
func (p *Protected) Open() (io.ReadCloser, error) { return p.j.Open() }

// Size is the exact length of the message in octets.
func (p *Protected) Size() int64 { return p.j.Size() }

// WriteTo writes the message.
func (p *Protected) WriteTo(w io.Writer) (int64, error) { return p.j.WriteTo(w) }

// Close frees what the message is kept in, once nobody reads it any more.
func (p *Protected) Close() error { return p.j.Close() }

// Sign returns the message as multipart/signed, which every program shows (RFC 8551 s3.5.3). What is signed is made 7-bit first, without white space at line ends; the fields of the
// header are signed with it.
func (s *Sender) Sign(ctx context.Context, c mime.Content) (*Protected, error) {
	payload, err := s.payload(protect.WithContext(ctx, c), protect.Options{Sign: true})
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	p := new(Protected)
	p.j.Add(payload.Outer, []byte("MIME-Version: 1.0\r\n"))
	if err := s.clear(ctx, &p.j, payload); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// clear adds the signed payload as multipart/signed.
func (s *Sender) clear(ctx context.Context, j *protect.Joined, payload *protect.Payload) error {
	signed, h, digest, err := s.digest(ctx, payload)
	if err != nil {
		return err
	}
	j.Owns(signed)
	sig, _, err := s.signedData(h, digest, time.Now(), 0, true)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := toBase64(&text, func(w io.Writer) error { _, err := w.Write(sig); return err }); err != nil {
		return err
	}
	b := protect.Boundary()
	j.Add(fmt.Appendf(nil, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=%s;\r\n boundary=%q\r\n\r\n--%s\r\n", hashName(h), b, b))
	j.AddRange(signed, 0, signed.Size())
	j.Add(fmt.Appendf(nil, "\r\n--%s\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n%s\r\n--%s--\r\n", b, text.String(), b))
	return nil
}

// digest spools the payload and hashes it on the way.
func (s *Sender) digest(ctx context.Context, payload *protect.Payload) (*mime.Spooled, crypto.Hash, []byte, error) {
	key, ok := s.Identity.PrivateKey.(crypto.Signer)
	if !ok || s.Identity.Certificate == nil {
		return nil, 0, nil, fail(NoKey, "no identity to sign with")
	}
	h, _, err := signAlgorithm(key, s.RSA)
	if err != nil {
		return nil, 0, nil, err
	}
	d := h.New()
	spool, err := protect.Spool(s.spool(), func(out io.Writer) error {
		return buffered(protect.Writer(ctx, io.MultiWriter(out, d)), payload.Write)
	})
	return spool, h, d.Sum(nil), err
}

// SignOpaque returns the message as application/pkcs7-mime with the text inside (RFC 8551 s3.5.2): nothing on the way touches it, and only programs with S/MIME show it.
func (s *Sender) SignOpaque(ctx context.Context, c mime.Content) (*Protected, error) {
	payload, err := s.payload(protect.WithContext(ctx, c), protect.Options{Sign: true})
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	signed, h, digest, err := s.digest(ctx, payload)
	if err != nil {
		return nil, err
	}
	defer signed.Close()
	before, after, err := s.signedData(h, digest, time.Now(), signed.Size(), false)
	if err != nil {
		return nil, err
	}
	return s.pkcs7(payload.Outer, "signed-data", func(w io.Writer) error {
		if _, err := w.Write(before); err != nil {
			return err
		}
		if _, err := io.Copy(w, protect.Reader(ctx, io.NewSectionReader(signed, 0, signed.Size()))); err != nil {
			return err
		}
		_, err := w.Write(after)
		return err
	})
}

// Encrypt returns the message encrypted for To (RFC 8551 s3.3 and s3.4), without a signature.
func (s *Sender) Encrypt(ctx context.Context, c mime.Content) (*Protected, error) {
	payload, err := s.payload(protect.WithContext(ctx, c), protect.Options{Encrypt: true})
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	return s.encrypt(ctx, payload.Outer, payload.Write)
}

// EncryptAndSign returns the message signed, and then encrypted for To.
func (s *Sender) EncryptAndSign(ctx context.Context, c mime.Content) (*Protected, error) {
	payload, err := s.payload(protect.WithContext(ctx, c), protect.Options{Sign: true, Encrypt: true})
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	var signed protect.Joined
	defer signed.Close()
	if err := s.clear(ctx, &signed, payload); err != nil {
		return nil, err
	}
	return s.encrypt(ctx, payload.Outer, func(w io.Writer) error {
		_, err := signed.WriteTo(w)
		return err
	})
}

func (s *Sender) encrypt(ctx context.Context, outer []byte, write func(io.Writer) error) (*Protected, error) {
	if len(s.To) == 0 {
		return nil, fail(NoKey, "nobody to encrypt to")
	}
	for _, c := range s.To {
		if err := CanEncrypt(c); err != nil {
			return nil, err
		}
	}
	typ := "enveloped-data"
	if s.Cipher != AES256CBC {
		typ = "authEnveloped-data"
	}
	var n counter
	if err := write(&n); err != nil {
		return nil, err
	}
	return s.pkcs7(outer, typ, func(w io.Writer) error {
		return s.envelope(w, int64(n), func(w io.Writer) error { return buffered(protect.Writer(ctx, w), write) })
	})
}

// pkcs7 returns a message of one application/pkcs7-mime part (RFC 8551 s3.2).
func (s *Sender) pkcs7(outer []byte, typ string, write func(io.Writer) error) (*Protected, error) {
	body, err := protect.Spool(s.spool(), func(w io.Writer) error {
		return buffered(w, func(w io.Writer) error { return toBase64(w, write) })
	})
	if err != nil {
		return nil, err
	}
	p := new(Protected)
	p.j.Owns(body)
	p.j.Add(outer, fmt.Appendf(nil, "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=%s; name=\"smime.p7m\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n", typ))
	p.j.AddRange(body, 0, body.Size())
	return p, nil
}

func (s *Sender) payload(c mime.Content, o protect.Options) (*protect.Payload, error) {
	if strings.ContainsAny(s.Subject, "\r\n\x00") {
		return nil, fail(Malformed, "a line end in Subject")
	}
	o.Subject, o.Spool = "...", s.spool()
	if s.Subject != "" {
		o.Subject = stdmime.QEncoding.Encode("utf-8", s.Subject)
	}
	p, err := protect.New(c, o)
	if err == protect.ErrHeader {
		err = &Error{Kind: TooLarge, Err: err}
	}
	return p, err
}

func (s *Sender) spool() mime.SpoolLimits {
	return mime.SpoolLimits{Memory: s.Memory, Size: -1, Dir: s.Dir}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 32<<10)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// toBase64 writes what write writes in base64, in lines of 76 characters that end in CRLF.
func toBase64(w io.Writer, write func(io.Writer) error) error {
	l := &lines{w: w}
	e := base64.NewEncoder(base64.StdEncoding, l)
	if err := write(e); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	return l.end()
}

type lines struct {
	w   io.Writer
	col int
	buf []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.buf = l.buf[:0]
	for rest := b; len(rest) > 0; {
		n := min(76-l.col, len(rest))
		l.buf = append(l.buf, rest[:n]...)
		if rest, l.col = rest[n:], l.col+n; l.col == 76 {
			l.buf, l.col = append(l.buf, "\r\n"...), 0
		}
	}
	_, err := l.w.Write(l.buf)
	return len(b), err
}

func (l *lines) end() error {
	if l.col == 0 {
		return nil
	}
	_, err := io.WriteString(l.w, "\r\n")
	return err
}
