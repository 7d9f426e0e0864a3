package memnet

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how much one direction holds before a Write blocks.
const bufferSize = 64 << 10

// half is one direction of a connection. The mutex is never held while
// waiting: waiters sit on the 1-slot channels, and whoever takes a token while
// the condition still holds puts it back for the next.
type half struct {
	latency  time.Duration
	onCut    func() // called without the mutex when cut runs out
	readable chan struct{}
	writable chan struct{}

	mu      sync.Mutex
	buf     []byte
	off     int   // buf[off:] is unread
	flying  int   // its tail that has not arrived yet (latency)
	cut     int64 // octets until the connection breaks; negative: never
	readErr error // given to the reader when nothing is left to read
	gone    bool  // the reader closed: do not keep what is written
	sendErr error // given to the writer
}

func newHalf() *half {
	return &half{cut: -1, readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wake puts tokens for the conditions that hold. Called with mu held.
func (h *half) wake() {
	if h.arrived() > 0 || h.ended() {
		signal(h.readable)
	}
	if h.sendErr != nil || len(h.buf)-h.off < bufferSize {
		signal(h.writable)
	}
}

func (h *half) arrived() int { return len(h.buf) - h.off - h.flying }

// ended reports whether the reader has nothing more to wait for.
func (h *half) ended() bool {
	return h.readErr != nil && (len(h.buf) == h.off || h.gone)
}

func (h *half) read(p []byte, expired <-chan struct{}) (int, error) {
	for {
		if isClosed(expired) {
			return 0, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		if n := h.arrived(); n > 0 && !h.gone || h.ended() || len(p) == 0 {
			n, err := h.take(p, n)
			h.wake()
			h.mu.Unlock()
			return n, err
		}
		h.mu.Unlock()
		select {
		case <-h.readable:
		case <-expired:
		}
	}
}

func (h *half) take(p []byte, n int) (int, error) {
	if n <= 0 || h.gone {
		if h.ended() {
			return 0, h.readErr
		}
		return 0, nil
	}
	n = copy(p, h.buf[h.off:h.off+n])
	h.off += n
	if h.off == len(h.buf) {
		h.buf, h.off = h.buf[:0], 0
	}
	return n, nil
}

func (h *half) write(p []byte, expired <-chan struct{}) (n int, err error) {
	for {
		if isClosed(expired) {
			return n, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		if h.sendErr != nil {
			err = h.sendErr
			h.wake()
			h.mu.Unlock()
			return n, err
		}
		m, broke := h.put(p[n:])
		n += m
		h.wake()
		h.mu.Unlock()
		if broke {
			h.onCut()
			return n, syscall.ECONNRESET
		}
		if n == len(p) {
			return n, nil
		}
		select {
		case <-h.writable:
		case <-expired:
		}
	}
}

// put appends what there is room for. broke reports that the link breaks here.
func (h *half) put(p []byte) (n int, broke bool) {
	n = min(len(p), bufferSize-(len(h.buf)-h.off))
	if h.cut >= 0 && int64(n) >= h.cut {
		n, broke = int(h.cut), true
	}
	if h.off > 0 && len(h.buf)+n > cap(h.buf) {
		h.buf = h.buf[:copy(h.buf, h.buf[h.off:])]
		h.off = 0
	}
	h.buf = append(h.buf, p[:n]...)
	if h.cut >= 0 {
		h.cut -= int64(n)
	}
	if h.latency > 0 && n > 0 {
		h.flying += n
		time.AfterFunc(h.latency, func() {
			h.mu.Lock()
			h.flying = max(0, h.flying-n)
			h.wake()
			h.mu.Unlock()
		})
	}
	return n, broke
}

// endWrite ends the direction from the writer's side: the reader gets what is
// on the way and then err; the writer gets own.
func (h *half) endWrite(err, own error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sendErr != net.ErrClosed {
		h.sendErr = own
	}
	if h.readErr != nil {
		return
	}
	if h.latency == 0 {
		h.readErr = err
		h.wake()
		return
	}
	signal(h.writable)
	time.AfterFunc(h.latency, func() {
		h.mu.Lock()
		if h.readErr == nil {
			h.readErr = err
		}
		h.wake()
		h.mu.Unlock()
	})
}

// endRead ends it from the reader's side, and reports whether anything was
// left unread.
func (h *half) endRead() (unread bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	unread = len(h.buf) > h.off
	h.readErr = net.ErrClosed
	h.gone = true
	h.buf, h.off, h.flying = nil, 0, 0
	if h.sendErr == nil {
		h.sendErr = syscall.EPIPE
	}
	h.wake()
	return unread
}
