// Package disk is the thin layer of files under everything here that must survive a crash: one flat directory whose files are written at the end, made durable by Sync, and whose entries are
// made durable by SyncDir. [Dir] is the real thing; [Memory] is one in memory: for what need not last, and for tests, since it can
// forget or tear whatever was not synced, as a power cut does where killing a process cannot show it (the page cache survives a process).
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// FS is one flat directory. Names have no separators.
type FS interface {
	// Create makes a file for appending; one of that name must not exist.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	Remove(name string) error
	// Names lists all files, sorted.
	Names() ([]string, error)
	// SyncDir makes creations and removals durable.
	SyncDir() error
}

// File is an open file. Write appends.
type File interface {
	io.ReaderAt
	io.WriteCloser
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes all that was written durable. After a failed Sync nothing is known of what is on disk.
	Sync() error
}

// Dir is an [FS] on a directory that exists.
type Dir string

// MakeDir makes a directory, readable for its owner only, and what is missing of the way to it. Each one is durable: the entry for it is in its parent, which
// nothing that is synced later need flush.
func MakeDir(path string) (Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if isDir(path) {
		return Dir(path), nil
	}
	parent := Dir(filepath.Dir(path))
	if string(parent) != path {
		if parent, err = MakeDir(string(parent)); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !isDir(path) { // somebody else may have been faster
		return "", err
	}
	return Dir(path), parent.SyncDir()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return datasync(f.File) }

func (d Dir) path(name string) (string, error) {
	if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
		return "", &fs.PathError{Op: "open", Path: name, Err: errors.New("not a plain file name")}
	}
	return filepath.Join(string(d), name), nil
}

// Create implements [FS].
func (d Dir) Create(name string) (File, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Open implements [FS].
func (d Dir) Open(name string) (File, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Remove implements [FS].
func (d Dir) Remove(name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// Names implements [FS].
func (d Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// SyncDir implements [FS].
func (d Dir) SyncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
