package mxresolve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// An STSStore keeps MTA-STS policies. Domains are in lower-case A-labels. Methods are called from many goroutines; a
// policy that was handed in or out is never changed.
type STSStore interface {
	Load(ctx context.Context, domain string) (*STSPolicy, error) // nil without error when there is none
	Save(ctx context.Context, p *STSPolicy) error                // in place of the domain's older one
	Delete(ctx context.Context, domain string) error             // also when there is none
	List(ctx context.Context) (domains []string, err error)      // in any order
}

// stsMemory is the store of who gives none. It is bounded, so that a stranger with many domains cannot fill the memory.
type stsMemory struct {
	policies *lru[string, *STSPolicy]
}

func newSTSMemory(size int) *stsMemory { return &stsMemory{newLRU[string, *STSPolicy](size)} }

func (m *stsMemory) Load(_ context.Context, domain string) (*STSPolicy, error) {
	p, _ := m.policies.get(domain)
	return p, nil
}

func (m *stsMemory) Save(_ context.Context, p *STSPolicy) error {
	m.policies.put(p.Domain, p, 512+2*len(p.Text))
	return nil
}

func (m *stsMemory) Delete(_ context.Context, domain string) error {
	m.policies.remove(domain)
	return nil
}

func (m *stsMemory) List(context.Context) ([]string, error) { return m.policies.keys(), nil }

// STSDir keeps each policy in a file of its own, which is replaced as a whole: a crash leaves the old one or the new one.
// The files are text that people can read and delete. Several processes may share the directory.
func STSDir(dir string) (STSStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &stsDir{dir: dir}, nil
}

type stsDir struct {
	dir string
	mu  sync.Mutex // one writer a process, so that few files are open
}

// The first line of a file has the version of its format; a blank line divides the head from the policy as it was sent.
const (
	stsMagic   = "mta-sts-policy 1"
	stsMaxFile = stsMaxSize + 4096
)

// file is the path for a domain. Names that are too long for file systems are hashed.
func (d *stsDir) file(domain string) string {
	name := domain
	if len(name) > 200 {
		h := sha256.Sum256([]byte(domain))
		name = hex.EncodeToString(h[:])
	}
	return filepath.Join(d.dir, name+".sts")
}

func (d *stsDir) Load(_ context.Context, domain string) (*STSPolicy, error) {
	if checkName(domain) != "" {
		return nil, nil // never a path
	}
	return d.read(d.file(domain))
}

func (d *stsDir) read(path string) (*STSPolicy, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > stsMaxFile {
		return nil, fmt.Errorf("mxresolve: %s: too long for a policy", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := decodeSTS(string(text))
	if err != nil {
		return nil, fmt.Errorf("mxresolve: %s: %w", path, err)
	}
	return p, nil
}

func (d *stsDir) Save(_ context.Context, p *STSPolicy) (err error) {
	if detail := checkName(p.Domain); detail != "" {
		return fmt.Errorf("mxresolve: policy domain %q: %s", p.Domain, detail)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.CreateTemp(d.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(encodeSTS(p))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file(p.Domain))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(d.dir); err == nil { // so that the new name outlasts a power cut
		dir.Sync() // not every system can; the file itself is safe
		dir.Close()
	}
	return nil
}

func (d *stsDir) Delete(_ context.Context, domain string) error {
	if checkName(domain) != "" {
		return nil
	}
	if err := os.Remove(d.file(domain)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *stsDir) List(ctx context.Context) (domains []string, err error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".sts")
		if !ok {
			continue
		}
		if len(name) == 2*sha256.Size && !strings.Contains(name, ".") {
			if p, err := d.read(filepath.Join(d.dir, entry.Name())); err == nil && p != nil {
				name = p.Domain
			}
		}
		domains = append(domains, name)
	}
	return domains, ctx.Err()
}

func encodeSTS(p *STSPolicy) string {
	return fmt.Sprintf("%s\ndomain %s\nid %s\nfetched %s\n\n%s", stsMagic, p.Domain, p.ID, p.Fetched.UTC().Format(time.RFC3339), p.Text)
}

func decodeSTS(text string) (*STSPolicy, error) {
	head, body, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != stsMagic {
		return nil, errors.New("not a policy file of version 1")
	}
	p, err := ParseSTSPolicy(body)
	if err != nil {
		return nil, err
	}
	for _, line := range lines[1:] {
		switch key, value, _ := strings.Cut(line, " "); key {
		case "domain":
			p.Domain = value
		case "id":
			p.ID = value
		case "fetched":
			if p.Fetched, err = time.Parse(time.RFC3339, value); err != nil {
				return nil, err
			}
		}
	}
	if p.Domain == "" || p.ID == "" || p.Fetched.IsZero() {
		return nil, errors.New("the head is not complete")
	}
	p.Expires = p.Fetched.Add(p.MaxAge)
	return p, nil
}
