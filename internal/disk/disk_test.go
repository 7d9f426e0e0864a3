package disk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeDir(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "c")
	for range 2 {
		d, err := MakeDir(path)
		require.NoError(t, err)
		require.Equal(t, Dir(path), d)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	for _, bad := range []string{"file", "file/below"} {
		_, err := MakeDir(filepath.Join(root, bad))
		require.Error(t, err, bad)
	}
}

// TestDir holds what the queue needs of a real directory: names stay in it, files grow at their end, and are made once.
func TestDir(t *testing.T) {
	t.Parallel()
	d := Dir(t.TempDir())
	for _, name := range []string{"", ".", "..", "a/b", "../a", "/a"} {
		_, err := d.Create(name)
		require.Error(t, err, name)
		_, err = d.Open(name)
		require.Error(t, err, name)
		require.Error(t, d.Remove(name), name)
	}
	f, err := d.Create("a")
	require.NoError(t, err)
	_, err = d.Create("a")
	require.ErrorIs(t, err, os.ErrExist)
	for _, s := range []string{"one", "two"} {
		_, err = f.Write([]byte(s))
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Truncate(4))
	_, err = f.Write([]byte("x"))
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 5, size)
	b := make([]byte, 5)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, "onetx", string(b))
	require.NoError(t, f.Close())
	require.NoError(t, os.Mkdir(filepath.Join(string(d), "folder"), 0o700))
	names, err := d.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	require.NoError(t, d.SyncDir())
	require.NoError(t, d.Remove("a"))
}
