package mime

import "bytes"

// badMediaType stands for a Content-Type that cannot be read.
const badMediaType = "?"

// contentFields returns what a parser has to know of a header: the media type ("" if there is none), the boundary of a
// multipart and the transfer encoding. The first field of each name counts.
func contentFields(h Header) (mediaType, boundary string, e Encoding) {
	var typed, encoded bool
	for pos := 0; pos < len(h.raw); {
		if c := h.raw[pos]; c != 'C' && c != 'c' {
			_, pos = cutLine(h.raw, pos)
			continue
		}
		f, next, ok := h.field(pos)
		pos = next
		switch {
		case !ok:
		case !typed && f.Is("Content-Type"):
			typed = true
			mediaType, boundary = contentType(f.raw[f.colon+1:], h.limit().Params)
		case !encoded && f.Is("Content-Transfer-Encoding"):
			encoded = true
			e = parseEncoding(f.raw[f.colon+1:])
		}
	}
	return mediaType, boundary, e
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
