package protect

import (
	"context"
	"io"

	"github.com/gomailroom/mailroom/mime"
)

// Reader is a reader that fails when the context ends.
func Reader(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// Writer is a writer that fails when the context ends.
func Writer(ctx context.Context, w io.Writer) io.Writer { return contextWriter{ctx, w} }

type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// WithContext returns the content with readers that fail when the context ends.
func WithContext(ctx context.Context, c mime.Content) mime.Content { return contextContent{c, ctx} }

type contextContent struct {
	mime.Content
	ctx context.Context
}

func (c contextContent) Open() (io.ReadCloser, error) {
	rc, err := c.Content.Open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{Reader(c.ctx, rc), rc}, nil
}

// Pipe returns a reader of what write writes. Closing it ends write.
func Pipe(write func(w io.Writer) error) io.ReadCloser {
	pr, pw := io.Pipe()
	p := &pipe{PipeReader: pr, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		pw.CloseWithError(write(pw))
	}()
	return p
}

type pipe struct {
	*io.PipeReader
	done chan struct{}
}

func (p *pipe) Close() error {
	err := p.PipeReader.CloseWithError(io.ErrClosedPipe)
	<-p.done
	return err
}
