package smtp

import "bytes"

// content takes one message's octets out of the input, in blocks as large as the input has them: DATA up to CRLF.CRLF with
// dot-stuffing undone (RFC 5321 s4.5.2), or chunks of BDAT (RFC 3030).
type content struct {
	policy LinePolicy
	limit  int64
	size   int64  // octets so far
	fault  *Error // what is wrong with the message; the rest of it is still taken

	dot   bool // DATA
	bol   bool // DATA: at the beginning of a line
	ended bool // DATA: the end was seen

	chunk     int64 // BDAT: octets of the chunk that are still to come
	chunkSize int64
	last      bool // BDAT: the chunk is the last
	cr        bool // BDAT: the last octet was a CR; under LinesNormalize it was not given out yet
}

// begin starts a message. For BDAT it leaves the chunk as it is.
func (c *content) begin(policy LinePolicy, limit int64, dot bool) {
	c.policy, c.limit, c.dot, c.bol, c.cr, c.ended, c.size, c.fault = policy, limit, dot, dot, false, false, 0, nil
}

var crlf = []byte("\r\n")

// next gives a block of content, or says that more input is needed or that the chunk or message is complete.
func (c *content) next(in *input) ([]byte, event) {
	p := in.pending()
	skip, n := 0, 0
	if c.ended {
		return nil, eventEnd
	}
	if c.dot {
		var more bool
		if skip, n, c.ended, more = scanDot(p, c.bol); c.ended {
			in.take(skip)
			return nil, eventEnd
		} else if more {
			in.take(skip)
			c.bol = c.bol && skip == 0
			return nil, eventInput
		}
	} else {
		if n = len(p); int64(n) > c.chunk {
			n = int(c.chunk)
		}
		if n == 0 {
			return c.chunkEnd()
		}
	}
	block := p[skip : skip+n]
	out := block
	switch c.policy {
	case LinesReject:
		if c.fault == nil {
			within := block // what is wrong beyond the limit is beyond the limit
			if c.limit >= 0 && int64(n) > c.limit-c.size+1 {
				within = block[:c.limit-c.size+1]
			}
			c.fault = c.check(within)
		}
	case LinesNormalize:
		out, n = c.normalize(block)
		block = block[:n]
	}
	in.take(skip + n)
	c.size += int64(n)
	if c.bol = false; c.dot {
		c.bol = bytes.HasSuffix(block, crlf)
	} else {
		c.chunk -= int64(n)
	}
	if over(c.size, c.limit) && c.fault == nil {
		c.fault = replyTooLarge
	}
	return out, eventBlock
}

func (c *content) chunkEnd() ([]byte, event) {
	switch {
	case c.chunk > 0:
		return nil, eventInput
	case !c.last:
		return nil, eventChunkEnd
	case c.cr && c.policy == LinesNormalize:
		c.cr = false
		return crlf, eventBlock
	case c.cr && c.policy == LinesReject && c.fault == nil:
		c.fault = replyBareCR
	}
	return nil, eventEnd
}

// excessive tells whether the client goes on so far beyond the limit that the rest is not worth reading.
func (c *content) excessive() bool {
	return c.limit >= 0 && c.size > 2*c.limit+drainAllowed
}

// scanDot looks at dot-stuffed input that stands at the beginning of a line if bol. Content is p[skip:skip+n]. At the
// end of the message skip is the length of the final dot line. The end is CRLF.CRLF and nothing else; what stands before p was CRLF or the
// command DATA when bol is set. RFC 5321 s4.1.1.4, s4.5.2
func scanDot(p []byte, bol bool) (skip, n int, end, more bool) {
	if bol && len(p) > 0 && p[0] == '.' {
		switch {
		case len(p) == 1, len(p) == 2 && p[1] == '\r':
			return 0, 0, false, true
		case p[1] == '\r' && p[2] == '\n':
			return 3, 0, true, false
		}
		skip = 1
	}
	rest := p[skip:]
	if i := bytes.Index(rest, crlfDot); i >= 0 {
		return skip, i + 2, false, false
	}
	n = len(rest)
	if n > 0 && rest[n-1] == '\r' { // an LF may follow
		n--
	}
	return skip, n, false, n == 0
}

var crlfDot = []byte("\r\n.")

// check looks for bare CR, bare LF and NUL: it hops from LF to LF, and compares the number of CRs.
func (c *content) check(b []byte) *Error {
	cr := c.cr
	if c.cr = b[len(b)-1] == '\r'; c.clean(b, cr) {
		return nil
	}
	for _, o := range b { // what comes first is the reply, however the input is cut
		switch {
		case cr && o != '\n':
			return replyBareCR
		case o == '\n' && !cr:
			return replyBareLFData
		case o == 0:
			return replyNUL
		}
		cr = o == '\r'
	}
	return nil
}

// clean tells that b has none of the three. before: the octet before b is a CR. Behind a CR at its end an LF is still to come.
func (c *content) clean(b []byte, before bool) bool {
	pairs := 0
	for i := 0; ; pairs++ {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			break
		}
		if i += j + 1; i > 1 && b[i-2] != '\r' || i == 1 && !before {
			return false
		}
	}
	if before {
		pairs-- // its CR is not in b; if there is no LF either, the numbers differ
	}
	if c.cr {
		pairs++
	}
	return bytes.Count(b, crlf[:1]) == pairs && bytes.IndexByte(b, 0) < 0
}

// normalize gives the next piece of b with line endings made good, and how much of b it stands for.
func (c *content) normalize(b []byte) (out []byte, n int) {
	if c.cr {
		c.cr = false
		if b[0] == '\n' {
			return crlf, 1
		}
		return crlf, 0
	}
	for i := 0; i < len(b); {
		j := bytes.IndexAny(b[i:], "\r\n\x00")
		if j < 0 {
			break
		}
		i += j
		switch {
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			i += 2
			continue
		case i > 0:
			return b[:i], i
		case b[0] == 0:
			return nil, 1
		case b[0] == '\r' && len(b) == 1 && !c.dot: // the LF may stand in what comes next
			c.cr = true
			return nil, 1
		}
		return crlf, 1
	}
	return b, len(b)
}
