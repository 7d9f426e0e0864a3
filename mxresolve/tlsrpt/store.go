package tlsrpt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Store keeps what a Collector counts: one text a day, named by its date, "2026-05-04". Its methods are called one at a time.
type Store interface {
	Load(ctx context.Context, date string) ([]byte, error)    // nil without error when there is none
	Save(ctx context.Context, date string, text []byte) error // in place of the day's older one
	Delete(ctx context.Context, date string) error            // also when there is none
	List(ctx context.Context) (dates []string, err error)     // in any order
}

// Dir keeps each day in a file of its own, which is replaced as a whole: a crash leaves the old one or the new one. The
// folder is made when it is missing.
func Dir(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return folder(dir), nil
}

type folder string

const suffix = ".tlsrpt"

func (f folder) path(date string) (string, error) {
	if _, err := time.Parse(dateFormat, date); err != nil {
		return "", fmt.Errorf("tlsrpt: %q is not a date", date) // and never a path
	}
	return filepath.Join(string(f), date+suffix), nil
}

func (f folder) Load(_ context.Context, date string) ([]byte, error) {
	path, err := f.path(date)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (f folder) Save(_ context.Context, date string, text []byte) error {
	path, err := f.path(date)
	if err != nil {
		return err
	}
	tmp, err := os.Create(path + ".new") // one writer: the same name each time, so that a crash leaves at most one
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	return f.sync()
}

func (f folder) Delete(_ context.Context, date string) error {
	path, err := f.path(date)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // a file that comes back after a crash is sent once more, under the same id
}

func (f folder) List(context.Context) (dates []string, err error) {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if date, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if _, err := time.Parse(dateFormat, date); err == nil {
				dates = append(dates, date)
			}
		}
	}
	return dates, nil
}

// sync makes the change of a name durable.
func (f folder) sync() error {
	d, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer d.Close()
	d.Sync() // not every system can; the file itself is safe
	return nil
}

// A day is kept as lines of text: the first has the version of the format, the second what belongs to the day, each other
// one domain, with its policies as in a report.
const magic = "tls-report-day 1"

type dayLine struct {
	Secret string `json:"secret"`
}

type domainLine struct {
	Domain   string       `json:"domain"`
	Policies []jsonPolicy `json:"policies"`
}

func (d *tallies) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, magic)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(dayLine{d.secret}) // neither can fail: strings and numbers, into memory
	for domain, list := range d.domains {
		enc.Encode(domainLine{domain, rows(list)})
	}
	return b.Bytes()
}

func decodeDay(text []byte) (*tallies, error) {
	head, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(head) != magic {
		return nil, errors.New("not a file of version 1")
	}
	dec := json.NewDecoder(bytes.NewReader(rest))
	var line dayLine
	if err := dec.Decode(&line); err != nil {
		return nil, err
	}
	d := &tallies{secret: line.Secret, domains: map[string][]*tally{}}
	for dec.More() {
		var l domainLine
		if err := dec.Decode(&l); err != nil {
			return nil, err
		}
		d.cost += 256 + len(l.Domain)
		for _, row := range l.Policies {
			t, err := row.tally()
			if err != nil {
				return nil, err
			}
			d.domains[l.Domain] = append(d.domains[l.Domain], t)
		}
	}
	d.cost += 2 * len(text)
	return d, nil
}
