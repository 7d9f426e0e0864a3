package mime

import "bytes"

const manyBoundaries = 8 // from here on a map finds them

// push opens the boundary of the part being read.
func (p *Parser) push(boundary string) {
	p.open = append(p.open, openBoundary{boundary: boundary, part: p.cur, shadowed: -1})
	if len(p.open) <= manyBoundaries {
		return
	}
	if p.index != nil {
		p.enter(int32(len(p.open) - 1))
		return
	}
	p.index = make(map[string]int32)
	for i := range p.open {
		p.enter(int32(i))
	}
}

func (p *Parser) enter(i int32) {
	o := &p.open[i]
	if outer, ok := p.index[o.boundary]; ok {
		o.shadowed = outer
	}
	p.index[o.boundary] = i
}

// pop forgets the innermost open boundary.
func (p *Parser) pop() {
	last := len(p.open) - 1
	if p.index != nil {
		if o := p.open[last]; o.shadowed >= 0 {
			p.index[o.boundary] = o.shadowed
		} else {
			delete(p.index, o.boundary)
		}
	}
	p.open = p.open[:last]
}

// find returns the place of the innermost open multipart with the boundary, or -1.
func (p *Parser) find(boundary []byte) int {
	if p.index != nil {
		if i, ok := p.index[string(boundary)]; ok {
			return int(i)
		}
		return -1
	}
	for i := len(p.open) - 1; i >= 0; i-- {
		if p.open[i].boundary == string(boundary) {
			return i
		}
	}
	return -1
}

// match reports whether a line is a delimiter of an open multipart, and of which. A boundary may be followed by white space
// and anything after it (RFC 2046 s5.1.1: an exact match of the entire line is not required); a boundary that goes on with
// other bytes is none, since boundaries that begin alike are common. When a line could be the delimiter of several, the inner
// one counts.
func (p *Parser) match(line []byte) (level int, closes, ok bool) {
	if len(p.open) == 0 {
		return 0, false, false
	}
	line = line[2:]
	level, closes = p.matchExact(line, -1, false)
	for end, n := 0, 0; level < 0 && n < maxPadding; n++ {
		space := bytes.IndexAny(line[end:], " \t")
		if space < 0 {
			break
		}
		end += space
		level, closes = p.matchExact(line[:end], level, closes)
		for end < len(line) && (line[end] == ' ' || line[end] == '\t') {
			end++
		}
	}
	if level < 0 {
		if trimmed := bytes.TrimRight(line, " \t"); len(trimmed) < len(line) {
			level, closes = p.matchExact(trimmed, level, closes)
		}
	}
	return level, closes, level >= 0
}

// maxPadding is the number of places with white space at which a delimiter line is cut to see whether it has a boundary.
const maxPadding = 8

// matchExact looks t up as a boundary, and as one with the two hyphens that close. level and closes are what was found before.
func (p *Parser) matchExact(t []byte, level int, closes bool) (int, bool) {
	if l := p.find(t); l > level {
		level, closes = l, false
	}
	if n := len(t) - 2; n > 0 && t[n] == '-' && t[n+1] == '-' {
		if l := p.find(t[:n]); l > level {
			level, closes = l, true
		}
	}
	return level, closes
}

// delimiter ends all parts inside the multipart at level, and starts its next one or ends it. The delimiter line starts at
// start, after a line end of eol bytes, and goes to next.
func (p *Parser) delimiter(level int, closes bool, start int64, eol int, next int64) {
	m := p.m
	container := p.open[level].part
	for p.cur != container {
		eol = m.parts[p.cur].end(start, eol, p.lines)
		p.cur = m.parts[p.cur].parent
	}
	p.closeBoundaries(level+1, start)
	p.cur = container
	p.state = inBody
	if closes {
		if m.parts[container].first == 0 {
			p.defect(DefectNoParts, start)
		}
		p.pop()
		return
	}
	if !p.room() {
		p.state = inOpaque
		return
	}
	p.addPart(next)
	p.lineAt = m.parts[p.cur].headAt
}

// closeBoundaries forgets the open boundaries from level on, whose close delimiters never came.
func (p *Parser) closeBoundaries(level int, at int64) {
	for len(p.open) > level {
		part := p.open[len(p.open)-1].part
		kind := DefectNoClose
		if p.m.parts[part].first == 0 {
			kind = DefectNoParts
		}
		cur := p.cur
		p.cur = part
		p.defect(kind, at)
		p.cur = cur
		p.pop()
	}
}

// guessBoundary opens the multipart that is being read, whose boundary parameter is missing, if a line that is no delimiter of those around it can be
// one of it.
func (p *Parser) guessBoundary(line []byte) {
	if p.guess != p.cur+1 || p.state != inBody {
		return
	}
	if _, _, ok := p.match(line); ok {
		return
	}
	boundary := bytes.TrimRight(line[2:], " \t")
	if !isBoundary(boundary) {
		return
	}
	p.guess = 0
	if p.room() {
		p.m.parts[p.cur].multipart = true
		p.push(string(boundary))
	}
}

// isBoundary reports whether b looks like what programs make up as boundaries: the characters of RFC 2046 s5.1.1 without spaces, a letter or digit among
// them, and not the end of a close delimiter.
func isBoundary(b []byte) bool {
	if len(b) == 0 || len(b) > 70 || bytes.HasSuffix(b, []byte("--")) {
		return false
	}
	letters := false
	for _, c := range b {
		letters = letters || isAlnum(c)
		if !isAlnum(c) && bytes.IndexByte([]byte("'()+_,-./:=?"), c) < 0 {
			return false
		}
	}
	return letters
}
