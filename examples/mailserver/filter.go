package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/gomailroom/mailroom/smtp/mta"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/bayes"
)

// filter is the classifier that learns from what users move into Junk and out of it, and the file that keeps what it knows.
type filter struct {
	*bayes.Classifier
	memory *bayes.Memory
	name   string // empty: nothing is kept
	log    *slog.Logger
	loaded bool
}

func newFilter(name string, log *slog.Logger) *filter {
	m := &bayes.Memory{}
	return &filter{Classifier: &bayes.Classifier{Store: m}, memory: m, name: name, log: log}
}

// load reads what an earlier run has learned.
func (f *filter) load() error {
	b, err := os.ReadFile(f.name)
	if err == nil {
		err = f.memory.Load(bytes.NewReader(b))
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w; remove the file to start without what was learned", f.name, err)
	}
	f.loaded = true
	return nil
}

// save writes what is known now; a file that could not be read is left alone.
func (f *filter) save() error {
	if f.name == "" || !f.loaded {
		return nil
	}
	var b bytes.Buffer
	if err := f.memory.Save(&b); err != nil {
		return err
	}
	return writeFile(f.name, b.Bytes())
}

// run learns until the context ends, and saves now and then.
func (f *filter) run(ctx context.Context, s *server) error {
	tick := time.NewTicker(5 * time.Minute)
	defer tick.Stop()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := f.save(); err != nil {
					f.log.Error("cannot save what the filter has learned", "error", err)
				}
			}
		}
	}()
	var names []string
	for _, u := range s.config.users {
		names = append(names, u.name)
	}
	return (&mta.Trainer{Backend: s.data.store, Learner: spam.Learner(f.Classifier), Logger: f.log}).Run(ctx, names...)
}
