package protect

import (
	"bufio"
	"bytes"
	"io"
)

const lineBuffer = 64 << 10

// lineMode says what happens to lines beside that they end in CRLF.
type lineMode uint8

const (
	keep  lineMode = iota
	strip          // white space at the end of a line goes (RFC 3156 s3)
	field          // and lines of white space go altogether, for they would end the header
)

var crlf = []byte("\r\n")

// copyLines copies r with line ends CRLF. A last line without its end stays without. Lines beyond the buffer are copied as they are.
func copyLines(w io.Writer, r io.Reader, mode lineMode) error {
	br := bufio.NewReaderSize(r, lineBuffer)
	long, heldCR := false, false // the piece before this one was no whole line, and ended in CR
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		body, ended := bytes.CutSuffix(line, []byte("\n"))
		if heldCR && !(ended && len(body) == 0) {
			if _, err := w.Write(crlf[:1]); err != nil { // it was a CR of its own
				return err
			}
		}
		heldCR = false
		if ended {
			body = bytes.TrimSuffix(body, crlf[:1])
		} else if err == bufio.ErrBufferFull {
			body, heldCR = bytes.CutSuffix(body, crlf[:1])
		}
		if mode != keep && err != bufio.ErrBufferFull {
			body = bytes.TrimRight(body, " \t")
		}
		if mode == field && ended && !long && len(body) == 0 && len(bytes.TrimRight(line, "\r\n")) > 0 {
			continue
		}
		if _, werr := w.Write(body); werr != nil {
			return werr
		}
		if ended {
			if _, werr := w.Write(crlf); werr != nil {
				return werr
			}
		}
		long = err == bufio.ErrBufferFull
		if err == io.EOF {
			return nil
		}
	}
}

// fragile reports whether a 7-bit text has lines that do not survive the way: white space at the end, or "From " at the start (RFC 3156 s3).
func fragile(r io.Reader) (bool, error) {
	br := bufio.NewReaderSize(r, lineBuffer)
	start := true
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return false, err
		}
		if start && bytes.HasPrefix(line, []byte("From ")) {
			return true, nil
		}
		text := bytes.TrimRight(line, "\r\n")
		if err != bufio.ErrBufferFull && len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		start = err == nil
	}
}

const (
	hexDigits = "0123456789ABCDEF"
	qpColumn  = 75 // RFC 2045 s6.7 rule 5, without the "=" of a soft break
)

// encodeQP writes 7-bit text as quoted-printable. CRLF and LF are line ends; any other CR is encoded.
func encodeQP(w io.Writer, r io.Reader) error {
	br, out := bufio.NewReaderSize(r, lineBuffer), make([]byte, 0, 2*lineBuffer)
	start, heldCR := true, false
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		body, ended := bytes.CutSuffix(line, []byte("\n"))
		out = out[:0]
		col := 0
		if heldCR && !(ended && len(body) == 0) {
			out, col = append(out, "=0D"...), 3
		}
		heldCR = false
		if ended {
			body = bytes.TrimSuffix(body, crlf[:1])
		} else if err == bufio.ErrBufferFull {
			body, heldCR = bytes.CutSuffix(body, crlf[:1])
		}
		for i, c := range body {
			last := i == len(body)-1
			plain := c >= '!' && c <= '~' && c != '=' || (c == ' ' || c == '\t') && !last
			if i == 0 && start && (bytes.HasPrefix(body, []byte("From ")) || len(body) == 1 && c == '.') {
				plain = false
			}
			need := 1
			if !plain {
				need = 3
			}
			if col+need > qpColumn && !(last && ended && col+need == qpColumn+1) {
				out = append(out, "=\r\n"...)
				col = 0
			}
			if plain {
				out = append(out, c)
			} else {
				out = append(out, '=', hexDigits[c>>4], hexDigits[c&15])
			}
			col += need
		}
		switch {
		case ended:
			out = append(out, crlf...)
		case err == bufio.ErrBufferFull:
			out = append(out, "=\r\n"...)
		}
		if _, werr := w.Write(out); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		start = err == nil
	}
}

// Canonical copies r with line ends CRLF: the form that is signed (RFC 3156 s5, RFC 8551 s3.1.1).
func Canonical(w io.Writer, r io.Reader) error { return copyLines(w, r, keep) }

// LineWriter writes LF as CRLF to W. What is written to it has no CR.
type LineWriter struct{ W io.Writer }

func (l LineWriter) Write(b []byte) (int, error) {
	if _, err := l.W.Write(bytes.ReplaceAll(b, []byte("\n"), crlf)); err != nil {
		return 0, err
	}
	return len(b), nil
}
