package sasl

import (
	"encoding/base64"
	"errors"
)

// MaxResponse is the longest line of base64 that DecodeResponse takes
// (RFC 4954 s4).
const MaxResponse = 12288

var (
	// ErrCanceled reports a "*" in place of a response.
	ErrCanceled = errors.New("sasl: canceled by the client")
	// ErrSyntax reports what is not base64, or too long.
	ErrSyntax = errors.New("sasl: response is not base64")
)

// DecodeResponse decodes a response line. It never returns a nil slice
// without an error.
func DecodeResponse(line []byte) ([]byte, error) {
	if string(line) == "*" {
		return nil, ErrCanceled
	}
	if len(line) > MaxResponse {
		return nil, ErrSyntax
	}
	for _, c := range line {
		if c == '\r' || c == '\n' { // which package base64 would skip
			return nil, ErrSyntax
		}
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(out, line)
	if err != nil {
		return nil, ErrSyntax
	}
	return out[:n], nil
}

// DecodeInitial decodes an initial response that came with the command: "="
// is the empty one. For no argument, give Next a nil response instead.
func DecodeInitial(arg []byte) ([]byte, error) {
	if string(arg) == "=" {
		return []byte{}, nil
	}
	if len(arg) == 0 {
		return nil, ErrSyntax
	}
	return DecodeResponse(arg)
}

// EncodeInitial encodes an initial response: "=" for an empty one. It must not
// be nil, which stands for none.
func EncodeInitial(response []byte) string {
	if len(response) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(response)
}

// Encode encodes a challenge or response.
func Encode(p []byte) string { return base64.StdEncoding.EncodeToString(p) }
