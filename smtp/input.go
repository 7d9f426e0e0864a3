package smtp

// input is the part of a buffer that was read and not yet used. The memory is the driver's.
type input struct {
	buf  []byte
	r, w int
}

func (in *input) pending() []byte { return in.buf[in.r:in.w] }
func (in *input) take(n int)      { in.r += n }
func (in *input) added(n int)     { in.w += n }
func (in *input) clear()          { in.r, in.w = 0, 0 }

// space gives room behind what is pending. It is empty only when the whole buffer is pending.
func (in *input) space() []byte {
	if in.r == in.w {
		in.clear()
	} else if in.w == len(in.buf) && in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:])
		in.r = 0
	}
	return in.buf[in.w:]
}

// move changes to another buffer, which has room for what is pending, and gives the old one.
func (in *input) move(buf []byte) (old []byte) {
	old = in.buf
	in.w = copy(buf, in.pending())
	in.r, in.buf = 0, buf
	return old
}
