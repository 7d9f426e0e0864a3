package mime

// Shift returns the structure of the message with a prefix of header fields before it, of so many octets: trace fields, which servers add. The envelope is that of
// the message itself. The result shares what did not change. The message has to begin with a field; else a prefix may change what is read as its header.
func (s *Structure) Shift(prefix int64) *Structure {
	if prefix == 0 {
		return s
	}
	out := &Structure{Size: s.Size + prefix, Envelope: s.Envelope, Root: *s.Root.shift(prefix)}
	out.Root.HeaderOffset, out.Root.HeaderSize = s.Root.HeaderOffset, s.Root.HeaderSize+prefix
	return out
}

func (b *BodyPart) shift(n int64) *BodyPart {
	c := *b
	c.HeaderOffset, c.Offset = c.HeaderOffset+n, c.Offset+n
	if len(b.Children) > 0 {
		c.Children = make([]*BodyPart, len(b.Children))
		for i, child := range b.Children {
			c.Children[i] = child.shift(n)
		}
	}
	return &c
}
