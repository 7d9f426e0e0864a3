package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// uuDecoder reads uuencoded text: what stands between the lines `begin mode name` and `end`. Lines that do not decode are
// left out.
type uuDecoder struct {
	src    io.Reader
	lines  *bufio.Reader
	out    []byte
	buf    [64]byte
	inside bool
	err    error
}

func (d *uuDecoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if d.lines == nil {
		d.lines = bufio.NewReader(d.src)
	}
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		line, err := d.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // no line of uuencode is that long
		}
		d.err = err
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.HasPrefix(line, []byte("begin ")):
			d.inside = true
		case bytes.Equal(line, []byte("end")):
			d.inside = false
		case d.inside:
			d.out = d.decodeLine(line)
		}
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// decodeLine decodes one line: its length, then four characters for three bytes.
func (d *uuDecoder) decodeLine(line []byte) []byte {
	if len(line) == 0 || line[0] < ' ' || line[0] > '`' {
		return nil
	}
	n := int(line[0]-' ') & 63
	out := d.buf[:0]
	for i := 1; len(out) < n; i += 4 {
		if i >= len(line) {
			break
		}
		var v uint32
		for j := range 4 {
			v <<= 6
			if i+j < len(line) { // trailing spaces go missing on the way
				v |= uint32(line[i+j]-' ') & 63
			}
		}
		out = append(out, byte(v>>16), byte(v>>8), byte(v))[:min(n, len(out)+3)]
	}
	return out
}
