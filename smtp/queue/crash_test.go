package queue

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// ledger is what a log has acknowledged: what must be there after a crash, and what must not.
type ledger struct {
	mu       sync.Mutex
	texts    map[ID]string // added
	touched  map[ID]bool   // something that may finish it has begun
	finished map[ID]bool   // delivered, or removed
	changed  chan struct{} // one slot
}

func newLedger() *ledger {
	return &ledger{texts: map[ID]string{}, touched: map[ID]bool{}, finished: map[ID]bool{}, changed: make(chan struct{}, 1)}
}

func (g *ledger) note(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// copy gives the ledger as it is now.
func (g *ledger) copy() *ledger {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &ledger{texts: maps.Clone(g.texts), touched: maps.Clone(g.touched), finished: maps.Clone(g.finished)}
}

// work uses a log as several connections and deliveries do, until something fails or it is told to stop.
func (g *ledger) work(t *testing.T, l *Log, r *rand.Rand, stop <-chan struct{}) {
	var mine []ID
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		switch k := r.IntN(10); {
		case k < 5:
			text := fmt.Sprintf("%d %s\r\n", n, strings.Repeat("x", r.IntN(900)))
			if r.IntN(60) == 0 {
				text += strings.Repeat("y", inlineSize)
			}
			id, err := l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.StringContent(text))
			if err != nil {
				return
			}
			g.note(func() { g.texts[id] = text })
			mine = append(mine, id)
		case k < 8:
			j, _, err := l.Claim(t.Context(), time.Now(), everything)
			if err != nil {
				return
			} else if j == nil {
				continue
			}
			phase := Phase(r.IntN(2))
			if phase == Delivered {
				g.note(func() { g.touched[j.ID] = true })
			}
			if l.Settle(t.Context(), j, []State{{Phase: phase, Attempts: 1, Due: time.Now()}}) != nil {
				return
			}
			if phase == Delivered {
				g.note(func() { g.finished[j.ID] = true })
			}
		case len(mine) == 0:
		case k == 8:
			id := mine[r.IntN(len(mine))]
			g.note(func() { g.touched[id] = true })
			if l.Remove(t.Context(), id) == nil {
				g.note(func() { g.finished[id] = true })
			}
		default:
			_ = l.Reschedule(t.Context(), mine[r.IntN(len(mine))], time.Now().Add(time.Duration(r.IntN(3))*time.Hour)) // it may be gone, or busy
		}
	}
}

// TestPowerCutUnderLoad cuts the power while several goroutines add, deliver, remove and reschedule, and the log is compacted: what was acknowledged before holds after.
func TestPowerCutUnderLoad(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 11))
			fs := &disk.Memory{}
			g := newLedger()
			for range 3 {
				l, err := openLog(fs, LogOptions{SegmentSize: 4000})
				require.NoError(t, err)
				stop := make(chan struct{})
				var workers sync.WaitGroup
				for i := range uint64(4) {
					workers.Go(func() { g.work(t, l, rand.New(rand.NewPCG(seed, 100+i)), stop) })
				}
				for target := 10 + r.IntN(60); ; { // far enough to have something to lose
					if before := g.copy(); len(before.finished) >= target || len(before.texts) > 500 {
						break
					}
					<-g.changed
				}
				before := g.copy()
				after := fs.Cut(r)
				begun := g.copy()
				close(stop)
				workers.Wait()
				require.NoError(t, l.Close())
				fs = after

				l, err = openLog(fs, LogOptions{SegmentSize: 4000})
				require.NoError(t, err)
				list := all(t, l)
				there := map[ID]Status{}
				for _, s := range list {
					there[s.ID] = s
				}
				for id, text := range before.texts {
					_, found := there[id]
					switch {
					case before.finished[id]:
						require.False(t, found, "%s was finished and is back", id)
					case !begun.touched[id]:
						require.True(t, found, "%s is lost", id)
					}
					if found {
						require.Equal(t, text, read(t, &logContent{l, l.entries[id]}))
					}
				}
				require.NoError(t, l.Close())
				// What is there is what goes on.
				g = newLedger()
				for id := range there {
					if text, ok := before.texts[id]; ok {
						g.texts[id] = text
					}
				}
			}
		})
	}
}

// TestNoFileDescriptors cannot make a new segment for a while: messages are refused, and none that was accepted is lost.
func TestNoFileDescriptors(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{syscall.EMFILE, syscall.EROFS, syscall.ENOSPC} {
		fs := &disk.Memory{}
		l, err := openLog(fs, LogOptions{SegmentSize: 3000})
		require.NoError(t, err)
		taken, refused := 0, 0
		for n := range 40 {
			fs.Fail(func(op, _ string) error {
				if op == "create" && n%8 > 2 {
					return cause
				}
				return nil
			})
			size := 500
			if n%5 == 0 {
				size = inlineSize + 1
			}
			if _, err := l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.BytesContent(make([]byte, size))); err != nil {
				require.ErrorIs(t, err, cause)
				refused++
			} else {
				taken++
			}
		}
		require.NotZero(t, refused)
		require.NoError(t, l.Close())
		fs.Fail(nil)
		l, err = openLog(fs, LogOptions{SegmentSize: 3000})
		require.NoError(t, err)
		require.Len(t, l.entries, taken)
		require.NoError(t, l.Close())
	}
}
