package tnef

import (
	"encoding/binary"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// Properties ([MS-OXPROPS]).
const (
	propSubject        = 0x0037
	propBody           = 0x1000
	propRTF            = 0x1009
	propHTML           = 0x1013
	propAttachData     = 0x3701
	propAttachName     = 0x3704
	propAttachLongName = 0x3707
	propAttachType     = 0x370e
	propAttachID       = 0x3712
)

// Types of properties.
const (
	typeString  = 0x1e
	typeUnicode = 0x1f
	typeObject  = 0x0d
	typeBinary  = 0x102
	multiple    = 0x1000
)

// fixedSize is how many octets a value of a type takes, or 0 if it says so itself, or -1 if the type is not known.
func fixedSize(kind uint16) int {
	switch kind {
	case 0x01:
		return 0
	case 0x02, 0x03, 0x04, 0x0a, 0x0b:
		return 4
	case 0x05, 0x06, 0x07, 0x14, 0x40:
		return 8
	case 0x48:
		return 16
	case typeString, typeUnicode, typeObject, typeBinary:
		return 0
	}
	return -1
}

const maxProperties = 10000

// cursor reads numbers and octets; after the end everything is empty, and bad is set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint32) []byte {
	if int64(n) > int64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// padded takes octets that fill up to a multiple of four. The last ones may lack the filling.
func (c *cursor) padded(n uint32) []byte {
	b := c.take(n)
	if fill := -n & 3; !c.bad {
		c.take(min(fill, uint32(len(c.b))))
	}
	return b
}

// properties reads a list ([MS-OXTNEF] s2.1.3.4).
func (p *parser) properties(data []byte, set func(id, kind uint16, value []byte)) {
	c := cursor{b: data}
	n := c.u32()
	if n > maxProperties {
		p.msg.Damaged = true
		n = maxProperties
	}
	for ; n > 0 && !c.bad; n-- {
		kind, id := c.u16(), c.u16()
		if id >= 0x8000 { // a named property: its name goes before it
			c.take(16)
			if c.u32() == 0 {
				c.u32()
			} else {
				c.padded(c.u32())
			}
			id = 0
		}
		values := uint32(1)
		size := fixedSize(kind &^ multiple)
		if size < 0 {
			c.bad = true
			break
		}
		if kind&multiple != 0 || size == 0 && kind != 1 {
			values = c.u32()
		}
		for i := uint32(0); i < values && !c.bad; i++ {
			n := uint32(size)
			if size == 0 && kind != 1 {
				n = c.u32()
			}
			value := c.padded(n)
			if i == 0 && !c.bad {
				set(id, kind, value)
			}
			if kind == 1 {
				break
			}
		}
	}
	p.msg.Damaged = p.msg.Damaged || c.bad
}

// string decodes a property that is text.
func (p *parser) string(kind uint16, value []byte) string {
	switch kind {
	case typeUnicode:
		return strings.TrimRight(mime.DecodeCharset("utf-16le", value), "\x00")
	case typeString, typeBinary:
		return p.text(value)
	}
	return ""
}

func (p *parser) messageProperty(id, kind uint16, value []byte) {
	switch id {
	case propSubject:
		if s := oneLine(p.string(kind, value)); s != "" {
			p.msg.Subject = s
		}
	case propBody:
		if s := p.string(kind, value); s != "" {
			p.msg.Text = lines(s)
		}
	case propHTML:
		p.msg.HTML = p.string(kind, value)
	case propRTF:
		rtf, ok := unpackRTF(value)
		p.msg.RTF = rtf
		p.msg.Damaged = p.msg.Damaged || !ok
	}
}

func (p *parser) attachProperty(id, kind uint16, value []byte) {
	switch id {
	case propAttachLongName:
		p.attach.long = p.string(kind, value)
	case propAttachName:
		if p.attach.name == "" {
			p.attach.name = p.string(kind, value)
		}
	case propAttachType:
		p.attach.mediaType = p.string(kind, value)
	case propAttachID:
		p.attach.id = p.string(kind, value)
	case propAttachData:
		if kind == typeObject && len(value) > 16 { // an interface identifier, then a message of its own or a file of OLE
			value = value[16:]
			p.attach.message = len(value) > 4 && binary.LittleEndian.Uint32(value) == signature
		}
		p.attach.data = value
	}
}
