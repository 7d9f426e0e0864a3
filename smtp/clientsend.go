package smtp

import "context"

// Send sends a message.
func (c *Conn) Send(ctx context.Context, e *Envelope, content Content) (*Result, error) {
	return nil, nil
}
