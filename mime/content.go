package mime

import "bytes"

// badMediaType stands for a Content-Type that cannot be read.
const badMediaType = "?"

// contentInfo is what a parser has to know of a header.
type contentInfo struct {
	mediaType string // "" if there is none
	boundary  string // of a multipart
	encoding  Encoding
	again     bool // there is a second Content-Type
}

// contentFields reads the content fields of a header. The first field of each name counts.
func contentFields(h Header) (c contentInfo) {
	var typed, encoded bool
	for pos := h.start(); pos < len(h.raw); {
		if h.raw[pos]|0x20 != 'c' {
			_, pos = cutLine(h.raw, pos)
			continue
		}
		f, next, ok := h.field(pos)
		pos = next
		switch {
		case !ok:
		case !typed && f.Is("Content-Type"):
			typed = true
			c.mediaType, c.boundary = contentType(f.raw[f.colon+1:], h.limit().Params)
		case typed && f.Is("Content-Type"):
			c.again = true
		case !encoded && f.Is("Content-Transfer-Encoding"):
			encoded = true
			c.encoding = parseEncoding(f.raw[f.colon+1:])
		}
	}
	return c
}

// contentType returns the media type of a Content-Type field, and the boundary if it is a multipart.
func contentType(v []byte, limit int) (mediaType, boundary string) {
	head, pos := paramHead(v)
	typ, sub := splitMediaType(head)
	switch {
	case len(typ) == 0 && len(bytes.TrimSpace(v)) == 0:
		return "", ""
	case equalFold(typ, "multipart"):
		if len(sub) == 0 {
			sub = []byte("mixed")
		}
	case len(typ) == 0 || len(sub) == 0:
		if equalFold(typ, "text") {
			return "text/plain", ""
		}
		return badMediaType, ""
	}
	var buf [64]byte
	mediaType = internLower(append(append(append(buf[:0], typ...), '/'), sub...))
	if !equalFold(typ, "multipart") {
		return mediaType, ""
	}
	for n := 0; n < limit; n++ {
		var p rawParam
		if p, pos = nextParam(v, pos); len(p.name) == 0 {
			break
		}
		if equalFold(p.name, "boundary") {
			return mediaType, string(p.value)
		}
		if len(p.name) > 8 && p.name[8] == '*' && equalFold(p.name[:8], "boundary") {
			_, pos := paramHead(v)
			return mediaType, decodeParams(v[pos:], limit).Get("boundary")
		}
	}
	return mediaType, ""
}
