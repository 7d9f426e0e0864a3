package mime

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ExternalBody says where the content of a message/external-body is (RFC 2046 s5.2.3, RFC 2017 for URLs). Nothing of it is fetched, and nobody should without asking:
// it tells the sender that the message was read.
type ExternalBody struct {
	Access     string // ftp, anon-ftp, tftp, local-file, mail-server, url, content-id; in lower case
	URL        string
	Site       string // host of ftp and tftp, or the domain that a local file is known in
	Directory  string
	Name       string // file name
	Mode       string
	Server     string // address to write to
	Subject    string
	Size       int64 // -1 where it is not said
	Expires    time.Time
	Permission string // read or read-write

	Header  Header // of the body that is elsewhere: its media type, encoding, id
	Phantom string // text after that header, which a mail server wants to be sent
}

// External returns where the content is, and whether the part is a message/external-body. The error is that of the source.
func (p *Part) External() (e ExternalBody, ok bool, err error) {
	if p.mediaType != "message/external-body" {
		return e, false, nil
	}
	params := p.ContentType().Params
	e = ExternalBody{
		Access: strings.ToLower(params.Get("access-type")), URL: strings.Join(strings.Fields(params.Get("url")), ""), Site: params.Get("site"),
		Directory: params.Get("directory"), Name: params.Get("name"), Mode: strings.ToLower(params.Get("mode")), Server: params.Get("server"),
		Subject: params.Get("subject"), Permission: strings.ToLower(params.Get("permission")), Size: -1,
	}
	if n, err := strconv.ParseInt(params.Get("size"), 10, 64); err == nil && n >= 0 {
		e.Size = n
	}
	e.Expires, _ = ParseDate(params.Get("expiration"))
	b, err := readLimited(p.Decoded(), p.Size(), int64(p.msg.limits.HeaderBytes))
	if err != nil && !errors.Is(err, ErrTooLong) {
		return e, true, err
	}
	e.Header = ParseHeader(b)
	e.Header.offset, e.Header.limits = p.bodyStart, &p.msg.limits
	e.Phantom = string(b[len(e.Header.Bytes()):])
	return e, true, nil
}
