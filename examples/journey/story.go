package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// story is what happens, told while it happens.
type story struct {
	out     io.Writer
	verbose bool
	asJSON  bool
	began   time.Time
	broken  error // of out: nobody listens any more

	Letters []*letter `json:"letters"`
	Failed  []string  `json:"failed"`
	TookMS  float64   `json:"took_ms"`
}

// letter is one journey.
type letter struct {
	Title  string  `json:"title"`
	Steps  []*step `json:"steps"`
	failed bool
}

// step is one thing that happened.
type step struct {
	Name    string   `json:"step"`
	AtMS    float64  `json:"at_ms"`
	TookMS  float64  `json:"took_ms"`
	Decided []string `json:"decided,omitempty"` // what, and why
	Said    []string `json:"said,omitempty"`    // on the wire: C is who connected, S who was connected to
	Error   string   `json:"error,omitempty"`
}

func newStory(out io.Writer, verbose, asJSON bool) *story {
	return &story{out: out, verbose: verbose, asJSON: asJSON, began: time.Now(), Letters: []*letter{}, Failed: []string{}}
}

func (s *story) printf(format string, args ...any) {
	if !s.asJSON && s.broken == nil {
		_, s.broken = fmt.Fprintf(s.out, format, args...)
	}
}

// letter begins another journey.
func (s *story) letter(title string) {
	s.Letters = append(s.Letters, &letter{Title: title})
	s.printf("\n%d. %s\n", len(s.Letters), title)
}

// step makes a step, unless one before it in this letter failed, or nobody listens.
func (s *story) step(name string, do func(*step) error) {
	l := s.Letters[len(s.Letters)-1]
	if l.failed || s.broken != nil {
		return
	}
	began := time.Now()
	st := &step{Name: name, AtMS: ms(began.Sub(s.began))}
	err := do(st)
	st.TookMS = ms(time.Since(began))
	l.Steps = append(l.Steps, st)
	s.printf("\n%9.1f ms  %s", st.AtMS, strings.ToUpper(name))
	s.printf("  (%.1f ms)\n", st.TookMS)
	for _, line := range st.Said {
		s.printf("              | %s\n", line)
	}
	for _, line := range st.Decided {
		s.printf("              %s\n", strings.ReplaceAll(line, "\n", "\n              "))
	}
	if err != nil {
		l.failed = true
		st.Error = err.Error()
		s.Failed = append(s.Failed, fmt.Sprintf("letter %d, %s: %v", len(s.Letters), name, err))
		s.printf("              FAILED: %v\n", err)
	}
}

// decided notes what was found or decided.
func (st *step) decided(format string, args ...any) {
	st.Decided = append(st.Decided, fmt.Sprintf(format, args...))
}

// end closes the story; it is an error if a step was not what it must be.
func (s *story) end() error {
	s.TookMS = ms(time.Since(s.began))
	if s.asJSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			return err
		}
	}
	if s.broken != nil {
		return s.broken
	}
	if len(s.Failed) > 0 {
		return fmt.Errorf("%d steps were not what they must be:\n%s", len(s.Failed), strings.Join(s.Failed, "\n"))
	}
	s.printf("\nAll letters went where they belong, in %.0f ms.\n", s.TookMS)
	return s.broken
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// wire collects what is said in one conversation.
type wire struct {
	mu    sync.Mutex
	lines []string
}

func (w *wire) add(who, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, who+": "+line)
}

// take gives what was said since the last time. Without verbose, the lines of long answers are left out, but for the last.
func (w *wire) take(verbose bool) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, l := range w.lines {
		if !verbose && (len(l) > 6 && l[0] == 'S' && l[6] == '-' || strings.HasPrefix(l, "S: * CAPABILITY")) {
			continue
		}
		if !verbose && len(l) > 110 {
			l = l[:107] + "..."
		}
		lines = append(lines, l)
	}
	w.lines = nil
	return lines
}
