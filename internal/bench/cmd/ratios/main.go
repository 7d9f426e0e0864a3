// Command ratios makes tables of what "go test -bench" prints: a line for each case, a column for each implementation, and how ours compare: those whose names begin
// with mailroom. Names are Benchmark/case/implementation. Of what was run several times (-count) the fastest run counts.
//
//	go test -run '^$' -bench . ./... | go run ./cmd/ratios
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table is a benchmark; cells are by case and implementation.
type table struct {
	name                   string
	cases, implementations []string
	cells                  map[[2]string]cell
}

type cell struct {
	time   time.Duration
	allocs string
}

var line = regexp.MustCompile(`^Benchmark(\w+)/(?:(\S+)/)?([^/\s]+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)`)
var allocs = regexp.MustCompile(`(\d+) allocs/op`)

func main() {
	tables, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
	for _, t := range tables {
		t.print(os.Stdout)
	}
}

func read(r io.Reader) (tables []*table, err error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		m := line.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		ns, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(tables, func(t *table) bool { return t.name == m[1] })
		if i < 0 {
			i = len(tables)
			tables = append(tables, &table{name: m[1], cells: make(map[[2]string]cell)})
		}
		c := cell{time: time.Duration(ns)}
		if a := allocs.FindStringSubmatch(m[5]); a != nil {
			c.allocs = a[1]
		}
		tables[i].add(m[2], m[3], c)
	}
	return tables, s.Err()
}

func (t *table) add(name, implementation string, c cell) {
	if !slices.Contains(t.cases, name) {
		t.cases = append(t.cases, name)
	}
	if !slices.Contains(t.implementations, implementation) {
		t.implementations = append(t.implementations, implementation)
	}
	key := [2]string{name, implementation}
	if old, ok := t.cells[key]; !ok || c.time < old.time {
		t.cells[key] = c
	}
}

// print writes Markdown. A cell is the time and the allocations of an operation; a ratio below 1 means that ours takes less time.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n| case |", t.name)
	for _, i := range t.implementations {
		fmt.Fprintf(w, " %s |", i)
	}
	ratios := t.ratios()
	for _, r := range ratios {
		fmt.Fprintf(w, " %s / %s |", r[0], r[1])
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---:|", len(t.implementations)+len(ratios)))
	for _, name := range t.cases {
		fmt.Fprintf(w, "| %s |", cmp.Or(strings.ReplaceAll(name, "_", " "), t.name))
		for _, i := range t.implementations {
			if c, ok := t.cells[[2]string{name, i}]; ok {
				fmt.Fprintf(w, " %s, %s |", short(c.time), c.allocs)
			} else {
				fmt.Fprint(w, " |")
			}
		}
		for _, r := range ratios {
			own, ok := t.cells[[2]string{name, r[0]}]
			peer, ok2 := t.cells[[2]string{name, r[1]}]
			if ok && ok2 && peer.time > 0 {
				fmt.Fprintf(w, " %.2f |", float64(own.time)/float64(peer.time))
			} else {
				fmt.Fprint(w, " |")
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// ratios are the pairs of one of ours and a peer.
func (t *table) ratios() (pairs [][2]string) {
	for _, own := range t.implementations {
		for _, peer := range t.implementations {
			if strings.HasPrefix(own, "mailroom") && !strings.HasPrefix(peer, "mailroom") {
				pairs = append(pairs, [2]string{own, peer})
			}
		}
	}
	return pairs
}

// short gives three digits.
func short(d time.Duration) string {
	switch {
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d >= 100*time.Microsecond:
		return d.Round(time.Microsecond).String()
	case d >= time.Microsecond:
		return d.Round(10 * time.Nanosecond).String()
	}
	return d.String()
}
